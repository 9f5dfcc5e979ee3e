"""A simulated fleet: its size, and what happens to its replicas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cato_lsp.bench.hardware import HardwareProfile

HOP = 0.0015
"""Seconds for a message between gateway and replica. Measured: 1.5 ms there and back; taken for each way."""

FOUND_DEAD = 0.085
"""Seconds until a gateway knows that the process of a replica has died, as measured with Ray."""


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """A fleet, and what happens to it. Replicas are numbered from 0."""

    replicas: int
    hop: float = HOP
    gateways: int = 1
    """Clients are spread over them; each has books of its own."""
    slow: Mapping[int, float] = field(default_factory=dict[int, float])
    """Replica to the factor on the time of its steps."""
    deaths: Mapping[int, float] = field(default_factory=dict[int, float])
    """Replica to when it dies."""
    found_dead: float = FOUND_DEAD
    """Seconds until a gateway knows that a replica has died."""
    joins: Mapping[int, float] = field(default_factory=dict[int, float])
    """Replica to when its model is loaded; the others are up from the start."""
    load_seconds: float = 60.0
    """From the decision to start a replica until it takes calls."""


def slowed(profile: HardwareProfile, factor: float) -> HardwareProfile:
    """The profile of a machine whose steps take ``factor`` times as long."""
    return replace(
        profile,
        step_seconds=factor * profile.step_seconds,
        seconds_per_token=factor * profile.seconds_per_token,
        seconds_per_sequence=factor * profile.seconds_per_sequence,
        seconds_per_context_token=factor * profile.seconds_per_context_token,
    )
