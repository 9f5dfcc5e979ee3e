"""What was promised to the person behind a model call."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TaskKind(StrEnum):
    """What an editor asked for."""

    COMPLETION = "completion"
    GENERATION = "generation"
    SUMMARIZATION = "summarization"
    TRANSLATION = "translation"
    WARMUP = "warmup"


class ServiceClass(StrEnum):
    """Which moment of a call its promise is about."""

    TTFT = "ttft"
    """The first token is due at the deadline; later tokens are paced (completion, generation)."""
    E2E = "e2e"
    """The last token is due at the deadline (summarization, translation)."""
    BACKGROUND = "background"
    """Nobody waits; runs only on what the others leave over (prefix warm-up, speculation)."""


@dataclass(frozen=True, slots=True)
class Slo:
    """The promise a call carries into the engine's scheduler.

    It travels as ``SamplingParams.extra_args["cato"]``, so it leaves with the request.
    Times are seconds on one monotonic clock (``time.monotonic`` live, the virtual clock in the twin).
    """

    kind: TaskKind
    service: ServiceClass
    arrival: float
    """When the editor asked."""
    deadline: float
    """When the first (TTFT) or the last (E2E) token is due; ``math.inf`` for background work."""
    client: str
    """The session that pays for it: one editor window."""
    weight: float = 1.0
    """How much a met deadline counts. Only the ratio to the weights of other calls matters (setting `sla.weights`)."""
    queue_penalty: float = 0.0
    """Seconds that the call stands further back in the line of E2E prompts than by its deadline."""
