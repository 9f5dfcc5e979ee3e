"""Limits per user, so that one user cannot overload the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cato_lsp.engine.api import Call, CallRejectedError, EngineStats


class Limit(StrEnum):
    """The limit that a refused call exceeds; also the label of the metric."""

    CALLS = "calls"
    TOKENS = "tokens"
    PROMPT = "prompt"
    RATE = "rate"
    QUEUE = "queue"
    """Not of the user: the work that is ahead of the call takes far longer than its deadline allows."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of each user. A busy editor stays far below the defaults."""

    calls: int = 32
    """Calls in flight."""
    tokens: int = 200_000
    """Tokens in flight: prompts plus the longest possible answers."""
    prompt: int = 100_000
    """Tokens in one prompt."""
    rate: float = 30.0
    """Calls per second on average; bursts may have twice as many."""
    connections: int = 16
    """Open connections: one for each editor or shared server."""


class LimitError(CallRejectedError):
    """A call exceeds a limit of its user.

    :param retry_after: seconds after which the call may be accepted, as far as that is known.
    """

    def __init__(self, limit: Limit, message: str, remedy: str, retry_after: float = 0.0) -> None:
        super().__init__(message, remedy)
        self.limit = limit
        self.retry_after = retry_after


class Allowance:
    """The calls and tokens that one user has in flight."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.calls = 0
        self.tokens = 0
        self.connections = 0
        self._limits = limits
        self._clock = clock
        self._burst = self._credit = 2 * limits.rate
        self._counted = clock()

    def take(self, call: Call, stats: EngineStats) -> int:
        """Count a call as in flight and return its tokens, for `give_back`.

        Raises:
            LimitError: it exceeds a limit; the message says how many calls run and wait.
        """
        limits, prompt = self._limits, len(call.prompt_ids)
        tokens = prompt + call.max_tokens
        now = self._clock()
        self._credit = min(self._burst, self._credit + limits.rate * (now - self._counted))
        self._counted = now
        if prompt > limits.prompt:
            raise LimitError(
                Limit.PROMPT, f"A prompt of {prompt} tokens; at most {limits.prompt} are allowed.", "Send less context."
            )
        if self.calls >= limits.calls:
            raise LimitError(
                Limit.CALLS,
                f"You have {self.calls} calls in flight, which is the limit. {_ahead(stats)}",
                "Wait for one to end.",
            )
        if self.tokens + tokens > limits.tokens:
            raise LimitError(
                Limit.TOKENS,
                f"{tokens} tokens more than your {self.tokens} in flight; at most {limits.tokens}. {_ahead(stats)}",
                "Wait for a call to end.",
            )
        if self._credit < 1:
            raise LimitError(
                Limit.RATE,
                f"More than {limits.rate:g} calls per second. {_ahead(stats)}",
                "Send fewer calls.",
                (1 - self._credit) / limits.rate,
            )
        self._credit -= 1
        self.calls += 1
        self.tokens += tokens
        return tokens

    def give_back(self, tokens: int) -> None:
        """Subtract a call that has ended."""
        self.calls -= 1
        self.tokens -= tokens


def _ahead(stats: EngineStats) -> str:
    return f"The server runs {stats.calls_running} calls, and {stats.calls_waiting} wait."
