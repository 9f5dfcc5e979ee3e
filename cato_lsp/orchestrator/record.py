"""The record of a task: sizes, times and whether its deadline was met. Never code."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from cato_lsp.engine.api import CallUsage
from cato_lsp.scheduling.slo import TaskKind

CAPACITY = 1000


class Outcome(StrEnum):
    """How a task ended."""

    ANSWERED = "answered"
    EMPTY = "empty"
    """Answered, with nothing worth showing."""
    SUPERSEDED = "superseded"
    """A newer request with the same slot replaced it."""
    CANCELLED = "cancelled"
    """The client cancelled it, closed the document or went away."""
    REFUSED = "refused"
    """Not admitted; the user was told why."""
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    """No engine was running."""


class Source(StrEnum):
    """The source of an answer."""

    MODEL = "model"
    """The task's own calls."""
    CACHE = "cache"
    """Type-through of an earlier answer: no call."""
    STREAM = "stream"
    """Type-through of an answer that was still being generated: no call of its own."""


@dataclass(slots=True)
class TaskRecord:
    """One task. Times are seconds after its arrival."""

    kind: TaskKind
    client: str
    deadline: float
    """When the first (TTFT) or the last (E2E) token was due."""
    e2e_deadline: bool = False
    """Whether the deadline is for the last token; otherwise it is for the first one."""
    outcome: Outcome = Outcome.FAILED
    source: Source = Source.MODEL
    ttft: float | None = None
    """``None``: cancelled or failed before the first token, or answered without a model call."""
    e2e: float = 0.0
    prompt_tokens: int = 0
    """Over all calls, as are the other counts."""
    cached_tokens: int = 0
    """Prompt tokens found in the prefix cache."""
    answer_tokens: int = 0
    held_back: bool = False
    """Not shown, since the model was too unsure of it."""
    calls: list[CallUsage] = field(default_factory=list[CallUsage])
    """The cost of each call."""

    @property
    def usage(self) -> CallUsage:
        """The total cost of all calls; the abort latency is the longest one."""
        aborts = [call.abort_latency_steps for call in self.calls if call.abort_latency_steps is not None]
        return CallUsage(
            added=min((call.added for call in self.calls if call.added is not None), default=None),
            tokens_computed=sum(call.tokens_computed for call in self.calls),
            tokens_after_cancel=sum(call.tokens_after_cancel for call in self.calls),
            abort_latency_steps=max(aborts, default=None),
        )

    @property
    def met(self) -> bool | None:
        """Whether the deadline was met; ``None`` if the task was cancelled, superseded or not accepted."""
        match self.outcome:
            case Outcome.SUPERSEDED | Outcome.CANCELLED | Outcome.UNAVAILABLE | Outcome.REFUSED:
                return None
            case Outcome.FAILED:
                return False
            case Outcome.ANSWERED | Outcome.EMPTY:
                settled = self.e2e if self.ttft is None or self.e2e_deadline else self.ttft
                return settled <= self.deadline


@dataclass(slots=True)
class TaskLog:
    """The last tasks, oldest first."""

    _records: deque[TaskRecord] = field(default_factory=lambda: deque[TaskRecord](maxlen=CAPACITY))

    def add(self, record: TaskRecord) -> None:
        """Add an ended task."""
        self._records.append(record)

    def __iter__(self) -> Iterator[TaskRecord]:
        return iter(self._records)
