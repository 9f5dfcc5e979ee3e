"""The results of a run, call by call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cato_lsp.scheduling.slo import ServiceClass, Slo


@dataclass(slots=True)
class CallResult:
    """The timing and cost of one call. Times are seconds on the clock of the run."""

    slo: Slo
    prompt: int
    first: float = math.nan
    """When its first token was generated."""
    last: float = math.nan
    """When its last token was generated."""
    cancelled: float = math.nan
    """When it was cancelled."""
    generated: int = 0
    computed: int = 0
    """Tokens computed for it."""
    wasted: int = 0
    """Tokens computed in steps that ended after it was cancelled."""

    @property
    def ttft(self) -> float:
        """Seconds to the first token."""
        return self.first - self.slo.arrival

    @property
    def e2e(self) -> float:
        """Seconds to the last token."""
        return self.last - self.slo.arrival

    @property
    def met(self) -> bool:
        """Whether the deadline was met."""
        due = self.first if self.slo.service is ServiceClass.TTFT else self.last
        return due <= self.slo.deadline


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One step of the engine: when, and how many tokens each call got (by its position in `Run.results`)."""

    start: float
    end: float
    tokens: dict[int, int]


@dataclass(slots=True)
class Run:
    """One policy's run of one workload."""

    policy: str
    duration: float
    """Seconds during which calls arrived."""
    makespan: float
    """Seconds until the last call ended."""
    busy: float
    """Seconds during which a step was being computed."""
    results: Sequence[CallResult]
    steps: Sequence[TimelineStep] = field(default_factory=list[TimelineStep])
    policy_errors: int = 0
    machine: dict[str, Any] | None = None
    """Telemetry of a real machine during the run (see `summarize_samples`)."""
