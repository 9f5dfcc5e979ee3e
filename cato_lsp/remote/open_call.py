"""A call that runs on a server, with what is needed to submit it again elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cato_lsp.engine.api import Call
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.remote.messages import CallDelta


@dataclass(slots=True)
class OpenCall:
    """A call that has not ended."""

    stream: ThreadCallStream
    delivered: list[int] = field(default_factory=list[int])
    """Token ids whose text was delivered to the caller."""
    pending: list[int] = field(default_factory=list[int])
    """Later token ids, whose text is not complete yet (an unfinished character)."""
    shown: bool = False
    """Whether any text was delivered."""

    def add(self, delta: CallDelta) -> None:
        """Record a delta that was delivered."""
        self.pending += delta.ids
        if delta.text:
            self.shown = True
            self.delivered += self.pending
            self.pending.clear()

    def rest(self, now: float, *, forced: bool) -> Call | None:
        """Return a call for the rest of the answer; ``None`` if it would be too late to be useful.

        :param forced: whether the delivered tokens include the forced prefix; otherwise it is in the prompt.
        """
        call = self.stream.call
        self.pending.clear()
        if not self.shown:
            return call if call.slo.deadline > now else None
        prefix = call.forced_prefix.hidden_ids if call.forced_prefix is not None else ()
        left = call.max_tokens + (len(prefix) if forced else 0) - len(self.delivered)
        if left <= 0:
            return None
        # Text was delivered, so the forced prefix is complete.
        written = (*(() if forced else prefix), *self.delivered)
        return replace(call, prompt_ids=(*call.prompt_ids, *written), max_tokens=left, forced_prefix=None)
