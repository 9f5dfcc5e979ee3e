"""The service-level objective (SLO) of a model call: its kind and its deadline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TaskKind(StrEnum):
    """The kind of task that a call belongs to."""

    COMPLETION = "completion"
    GENERATION = "generation"
    SUMMARIZATION = "summarization"
    TRANSLATION = "translation"
    WARMUP = "warmup"


class ServiceClass(StrEnum):
    """Which token of a call the deadline is for."""

    TTFT = "ttft"
    """The first token is due at the deadline; later tokens are paced (completion, generation)."""
    E2E = "e2e"
    """The last token is due at the deadline (summarization, translation)."""
    BACKGROUND = "background"
    """No deadline; uses only the capacity that others leave (cache prefill, prefetching)."""


@dataclass(frozen=True, slots=True)
class Slo:
    """The deadline of a call, as the engine's scheduler sees it.

    It travels as ``SamplingParams.extra_args["cato"]``, so it leaves with the request.
    Times are seconds on one monotonic clock (``time.monotonic`` live, the virtual clock in the twin).
    """

    kind: TaskKind
    service: ServiceClass
    arrival: float
    """When the request arrived."""
    deadline: float
    """When the first (TTFT) or the last (E2E) token is due; ``math.inf`` for background work."""
    client: str
    """The session that the call belongs to: one editor window, or a user of a team server."""
    weight: float = 1.0
    """How much this deadline counts, relative to others; see `sla.weights`."""
    task_work: float = 0.0
    """Seconds by which the calls that are left in the call's task delay other tasks, itself included; 0 if unknown."""
