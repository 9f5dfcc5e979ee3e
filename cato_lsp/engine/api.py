"""What the rest of the house knows of an engine: calls go in, deltas come out, everything can be aborted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import Slo

FinishReason = Literal["stop", "length", "abort"]


class EngineError(Exception):
    """The engine cannot serve; the message says why and ``remedy`` what a person can do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class EngineUnavailableError(EngineError):
    """No engine is running: it is still loading, failed to start, or died."""


class CallRejectedError(EngineError):
    """This one call cannot be served (its prompt is longer than the context window, say); others can."""


@dataclass(frozen=True, slots=True)
class ForcedPrefix:
    """Text that an answer has to begin with."""

    spellings: tuple[Mapping[int, int], ...]
    """For each number of its characters that are written, the tokens that may follow, and how many are then."""
    hidden: int = 0
    """How many characters the answer's deltas leave out."""
    hidden_ids: tuple[int, ...] = ()
    """Those as tokens, which end the prompt where an engine cannot hold answers to a beginning."""

    def __deepcopy__(self, memo: object) -> Self:
        """Itself: vLLM copies what a request carries, and spellings are large."""
        return self


@dataclass(frozen=True, slots=True)
class Call:
    """One model call: a prompt, how to sample, and the promise it carries into the scheduler."""

    prompt_ids: tuple[int, ...]
    slo: Slo
    max_tokens: int
    stop_token_ids: tuple[int, ...] = ()
    temperature: float = 0.0
    seed: int | None = None
    forced_prefix: ForcedPrefix | None = None
    scored: bool = False
    """Whether the deltas tell how likely their tokens are."""
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
    """Natural logarithm of the probability of the tokens, all together; 0 for a call that is not scored."""
    token_ids: tuple[int, ...] = ()
    """The tokens themselves."""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counters of one engine since it started; read at any time, from any thread."""

    steps: int = 0
    tokens_computed: int = 0
    """Prefill and decode tokens over all steps."""
    tokens_wasted: int = 0
    """Tokens computed for a call after its cancel had reached the engine's queue."""
    calls_running: int = 0
    calls_waiting: int = 0
    kv_cache_usage: float = 0.0
    """Share of the KV-cache blocks in use, 0 to 1."""
    step_seconds: float = 0.0
    """Time in steps, all together."""


@dataclass(slots=True)
class CallUsage:
    """What a call cost the engine, counted by the engine itself until its abort is done."""

    added: float | None = None
    """When the call was handed to vLLM, on the monotonic clock."""
    tokens_computed: int = 0
    """Prefill and decode tokens."""
    tokens_after_cancel: int = 0
    """Those of them in steps whose turn began after the cancel; the step that runs just then is not one of them."""
    abort_latency_steps: int | None = None
    """Steps planned between the cancel and the abort; ``None``: not cancelled, or not aborted yet."""


class CallStream(Protocol):
    """The answer of one call as it grows.

    Iterating raises :class:`EngineError` when the engine dies. Leaving the context aborts what still runs.
    """

    @property
    def usage(self) -> CallUsage:
        """What the call has cost so far."""
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
        """Say that ``client`` is typing, so that an urgent call is likely before ``until`` (monotonic s)."""
        ...

    def stats(self) -> EngineStats:
        """Return the counters as of the last step."""
        ...

    def cost(self) -> StepCosts:
        """Return the learned cost of a step on this machine, as of the last step; any thread may call it."""
        ...
