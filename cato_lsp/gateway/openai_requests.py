"""Requests of OpenAI's clients. Types are checked; unsupported fields are ignored."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cato_lsp.config import SlaSettings
from cato_lsp.scheduling.slo import ServiceClass, TaskKind

MOST_BYTES = 4 << 20
"""Maximum size of a request's body in bytes."""
_Stop = Annotated[str, Meta(max_length=200)]
_END_TO_END = (TaskKind.SUMMARIZATION, TaskKind.TRANSLATION)
_USUAL = SlaSettings()
_USUAL_MS = {
    TaskKind.COMPLETION: _USUAL.completion_ttft_ms,
    TaskKind.GENERATION: _USUAL.generation_ttft_ms,
    TaskKind.SUMMARIZATION: _USUAL.summarization_e2e_ms,
    TaskKind.TRANSLATION: _USUAL.translation_e2e_ms,
}
"""Deadlines of requests without one, by kind: the same as for editors."""


class StreamOptions(msgspec.Struct):
    """``stream_options``."""

    include_usage: bool = False


class GenerationRequest(msgspec.Struct, kw_only=True):
    """The fields that both kinds of requests have."""

    model: str = ""
    temperature: Annotated[float, Meta(ge=0.0, le=10.0)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    stop: _Stop | Annotated[list[_Stop], Meta(max_length=16)] | None = None
    n: Annotated[int, Meta(ge=1, le=1)] | None = None
    """Number of answers; only one is supported."""
    n_predict: Annotated[int, Meta(ge=-2, le=1_000_000)] | None = None
    """llama.cpp's maximum number of tokens. 0: only prefill the prompt cache. Negative: as many as fit."""
    cato_kind: TaskKind | None = None
    """The kind of task."""
    cato_slack_ms: Annotated[float, Meta(ge=0.0, le=3.6e6)] | None = None
    """Time until the deadline: of the first token, or of the last for summaries and translations."""
    logprobs: bool | int | None = None
    """Not supported, as the fields below: a request that relies on one must not be answered as if it had not."""
    top_logprobs: int | None = None
    echo: bool = False
    best_of: int | None = None
    vllm_xargs: dict[str, Any] = {}
    """May contain ``cato_kind`` and ``cato_slack_ms``, as in requests to vLLM's own server."""

    @property
    def stops(self) -> list[str]:
        """Texts that end the answer."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [each for each in given if each]

    @property
    def prefills(self) -> bool:
        """Whether no answer is wanted."""
        return self.n_predict == 0

    def unsupported(self) -> str | None:
        """The name of a field that asks for something the server cannot do."""
        # Zero log-probabilities are still those of the chosen tokens.
        if self.logprobs is not None and self.logprobs is not False:
            return "logprobs"
        if self.top_logprobs:
            return "top_logprobs"
        if self.echo:
            return "echo"
        return "best_of" if (self.best_of or 1) > 1 else None

    def deadline(self, usual: TaskKind) -> tuple[TaskKind, ServiceClass, float | None]:
        """Return the kind, its service class, and the seconds until the deadline (``None``: there is none).

        Raises:
            msgspec.ValidationError: ``vllm_xargs`` has an unknown kind, or a time that is not a number.
        """
        kind = self.cato_kind or msgspec.convert(self.vllm_xargs.get("cato_kind", usual.value), TaskKind)
        slack = self.cato_slack_ms
        if slack is None and "cato_slack_ms" in self.vllm_xargs:
            slack = msgspec.convert(self.vllm_xargs["cato_slack_ms"], Annotated[float, Meta(ge=0.0, le=3.6e6)])
        if kind is TaskKind.WARMUP or self.prefills:
            return TaskKind.WARMUP, ServiceClass.BACKGROUND, None
        service = ServiceClass.E2E if kind in _END_TO_END else ServiceClass.TTFT
        return kind, service, (_USUAL_MS[kind] if slack is None else slack) / 1000


class CompletionRequest(GenerationRequest, kw_only=True):
    """``POST /v1/completions``."""

    prompt: str | Annotated[list[str | int], Meta(min_length=1)]
    """A text, a list with one text, or token ids."""
    suffix: str | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class ContentPart(msgspec.Struct):
    """A part of a message; only text is read."""

    type: str
    text: str = ""


class ChatMessage(msgspec.Struct):
    """One message of a conversation."""

    role: str
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class ChatRequest(GenerationRequest, kw_only=True):
    """``POST /v1/chat/completions``."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=1000)]
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
