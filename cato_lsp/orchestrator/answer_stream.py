"""An answer that is being generated, which several requests may read in turn.

Each keystroke is a new request. As long as the typed text agrees with the answer, the newer request continues to read
the running call instead of starting another one (the idea is from Continue's ``GeneratorReuseManager``).
"""

from __future__ import annotations

from collections.abc import Callable

from cato_lsp.engine.api import Call, CallStream, Delta, ForcedPrefix, TokenCache
from cato_lsp.scheduling.slo import Slo
from cato_lsp.tasks.completion import Completion, CompletionPlan, CompletionRequest
from cato_lsp.tasks.confidence import Confidence
from cato_lsp.tasks.window import plain


def completion_call(
    plan: CompletionPlan,
    slo: Slo,
    *,
    temperature: float = 0.0,
    seed: int | None = None,
    least: float = 0.0,
    cache: TokenCache | None = None,
) -> Call:
    """The call for a plan. Its tokens come with probabilities if ``least``, as `AnswerStream` has it, is above 0."""
    cut = plan.cut
    forced_prefix = ForcedPrefix(cut.spellings, len(cut.text), tuple(cut.ids)) if cut else None
    prompt, stop = tuple(plan.prompt_ids), tuple(plan.stop_token_ids)
    return Call(prompt, slo, plan.max_tokens, stop, temperature, seed, forced_prefix, least > 0, cache)


class AnswerStream:
    """One call's answer as it grows.

    :param request: the request that the call was made for.
    :param least: joint probability below which the answer is cut; 0: never. The call has to be made with the same one.
    """

    def __init__(
        self, request: CompletionRequest, plan: CompletionPlan, stream: CallStream, least: float = 0.0
    ) -> None:
        self._request = request
        self._base, self._offset = request.composed()
        self._line = plan.cursor.line
        self._text = plan.stream()
        self._stream = stream
        self._confidence = Confidence(least)
        self.begun = False
        """Whether the first token has arrived."""
        self.complete = False
        """Whether the model, a stop rule or a token that is too unlikely has ended the answer."""
        self.cut = False
        """Whether a token was too unlikely."""

    def fits(self, request: CompletionRequest) -> bool:
        """Whether the request differs only by typed text that agrees with the answer so far."""
        typed = self._typed(request)
        return typed is not None and self._agrees(typed)

    async def read(self, request: CompletionRequest, on_delta: Callable[[Delta, bool], None]) -> bool:
        """Read until the answer is complete (true) or disagrees with what was typed (false).

        It can be cancelled and called again, also for another request; no token is lost.

        :param on_delta: is called with each delta, and whether it is the first one.
        """
        typed = self._typed(request)
        if typed is None or not self._agrees(typed):
            return False
        if not self.complete:
            async for delta in self._stream:
                on_delta(delta, not self.begun)
                self.begun = True
                self._take(delta)
                if not self._agrees(typed):
                    return False
                if self.complete:
                    break
        return True

    def completion(self, request: CompletionRequest) -> Completion | None:
        """What is sound of the answer so far, for a request that fits; ``None`` if there is nothing to show."""
        completion = self._text.result(cut=not self.complete)
        typed = self._typed(request)
        if completion is None or not typed:
            return completion if typed is not None else None
        inserted = completion.inserted(self._request)
        if inserted is None or not inserted.startswith(typed) or len(inserted) == len(typed):
            return None
        return Completion.of(request, inserted[len(typed) :])

    async def close(self) -> None:
        """Abort the call if it still runs."""
        await self._stream.__aexit__(None, None, None)

    def _take(self, delta: Delta) -> None:
        """Take the next part of the answer, or end the answer before it."""
        if self._confidence.add(delta.log_probability):
            self.complete = self._text.feed(delta.text) or delta.finish_reason == "stop"
        else:
            self._text.end_before(delta.text)
            self.complete = self.cut = True

    def _typed(self, request: CompletionRequest) -> str | None:
        """The text typed at the cursor since the call was made; ``None`` if anything else changed."""
        snapshot, offset = request.composed()
        text, base = snapshot.text, self._base.text
        if offset < self._offset or text[offset:] != base[self._offset :]:
            return None
        return text[self._offset : offset] if text[: self._offset] == base[: self._offset] else None

    def _agrees(self, typed: str) -> bool:
        written = self._line.rstrip(" \t") + self._text.text
        wanted = self._line + plain(typed)
        return not typed or written.startswith(wanted) or wanted.startswith(written)
