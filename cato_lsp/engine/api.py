"""The interface of an engine: calls go in, deltas come out, every call can be aborted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import Slo

FinishReason = Literal["stop", "length", "abort"]


class EngineError(Exception):
    """The engine cannot serve. The message says why, and ``remedy`` what the user can do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class EngineUnavailableError(EngineError):
    """No engine is running: it is still loading, failed to start, or died."""


class CallRejectedError(EngineError):
    """This call cannot be served, for example because its prompt is too long. Other calls can."""


@dataclass(frozen=True, slots=True)
class ForcedPrefix:
    """Text that an answer must begin with."""

    spellings: tuple[Mapping[int, int], ...]
    """For each count of its characters already written: the tokens that may follow, and the count after each."""
    hidden: int = 0
    """Number of leading characters that the deltas leave out."""
    hidden_ids: tuple[int, ...] = ()
    """The hidden characters as tokens. They end the prompt on engines that cannot force a prefix."""

    def __deepcopy__(self, memo: object) -> Self:
        """Return the object itself: vLLM copies the fields of a request, and spellings are large."""
        return self


class TokenCache(Protocol):
    """Tokens that are likely because they followed the same context somewhere."""

    def mixture(
        self, written: Sequence[int], allowed: Callable[[list[int]], list[bool]]
    ) -> tuple[float, dict[int, float]] | None:
        """How to mix the distribution of the next token: the factor of the model's own, and what is added to tokens.

        :param written: the tokens of the answer so far.
        :param allowed: which of some tokens may come next.
        """
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One model call: a prompt, sampling parameters, and the service level objective for the scheduler."""

    prompt_ids: tuple[int, ...]
    slo: Slo
    max_tokens: int
    stop_token_ids: tuple[int, ...] = ()
    temperature: float = 0.0
    seed: int | None = None
    forced_prefix: ForcedPrefix | None = None
    scored: bool = False
    """Whether the deltas carry the log-probability of their tokens."""
    cache: TokenCache | None = None
    """Mixed into the distribution, where the engine can."""
    cache_salt: str | None = None
    """Calls share prefix-cache blocks only with calls of the same salt; ``None`` is a salt of its own."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What one engine step added to a call's answer."""

    text: str
    tokens: int
    finish_reason: FinishReason | None = None
    cached_prompt_tokens: int = 0
    """Prompt tokens found in the prefix cache; set on the first delta."""
    log_probability: float = 0.0
    """Natural logarithm of the joint probability of the tokens; 0 for a call that is not scored."""
    token_ids: tuple[int, ...] = ()
    """The tokens themselves."""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counters of one engine since it started. Any thread may read them at any time."""

    steps: int = 0
    tokens_computed: int = 0
    """Prefill and decode tokens over all steps."""
    tokens_wasted: int = 0
    """Tokens computed for calls whose cancel was already in the engine's queue."""
    calls_running: int = 0
    calls_waiting: int = 0
    kv_cache_usage: float = 0.0
    """Share of the KV-cache blocks in use, 0 to 1."""
    step_seconds: float = 0.0
    """Time in steps, all together."""


@dataclass(slots=True)
class CallUsage:
    """The cost of a call, counted by the engine until the call has ended."""

    added: float | None = None
    """When the call was handed to vLLM, on the monotonic clock."""
    tokens_computed: int = 0
    """Prefill and decode tokens."""
    tokens_after_cancel: int = 0
    """Tokens computed in steps that were planned after the cancel. The step that was running is not counted."""
    abort_latency_steps: int | None = None
    """Steps planned between the cancel and the abort; ``None``: not cancelled, or not aborted yet."""


class CallStream(Protocol):
    """The answer of one call as it grows.

    Iterating raises :class:`EngineError` when the engine dies. Leaving the context aborts the call.
    """

    @property
    def usage(self) -> CallUsage:
        """The cost of the call so far."""
        ...

    def cancel(self) -> None:
        """Abort the call in the engine before its next step. Idempotent; no delta follows."""
        ...

    def __aiter__(self) -> AsyncIterator[Delta]: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Engine(Protocol):
    """A model that serves calls."""

    def submit(self, call: Call) -> CallStream:
        """Queue ``call`` and return its stream at once; a call that cannot be served fails its stream."""
        ...

    def hint(self, client: str, until: float) -> None:
        """Tell the scheduler that ``client`` is typing: expect an urgent call before ``until`` (monotonic s)."""
        ...

    def stats(self) -> EngineStats:
        """Return the counters as of the last step."""
        ...

    def cost(self) -> StepCosts:
        """Return the learned cost of a step on this machine, as of the last step; any thread may call it."""
        ...
