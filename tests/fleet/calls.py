"""Calls and books for tests of the router."""

from __future__ import annotations

import math

from cato_lsp.fleet.books import Capacity, NewCall, ReplicaBook
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

COSTS = StepCosts(fixed=6e-3, per_token=25e-6, per_sequence=0.0, per_context=1e-8, recent_step=0.02, steps=1000)
ROOM = Capacity(slots=256, kv_blocks=10_000)


def book(name: str, costs: StepCosts = COSTS, capacity: Capacity = ROOM) -> ReplicaBook:
    return ReplicaBook(name, capacity, costs)


def completion(
    number: int, prompt: int = 1000, arrival: float = 0.0, ttft: float = 0.2, document: int | None = None
) -> NewCall:
    slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, arrival, arrival + ttft, f"client-{number}")
    return NewCall(str(number), slo, prompt, blocks(prompt, number if document is None else -document))


def summary(number: int, prompt: int = 4000, arrival: float = 0.0, seconds: float = 6.0) -> NewCall:
    slo = Slo(TaskKind.SUMMARIZATION, ServiceClass.E2E, arrival, arrival + seconds, f"client-{number}")
    return NewCall(str(number), slo, prompt, blocks(prompt, number))


def prefill(number: int, prompt: int = 4000) -> NewCall:
    slo = Slo(TaskKind.WARMUP, ServiceClass.BACKGROUND, 0.0, math.inf, f"client-{number}")
    return NewCall(str(number), slo, prompt, blocks(prompt, number))


def blocks(prompt: int, document: int) -> tuple[tuple[int, int], ...]:
    return tuple((document, place) for place in range(prompt // 32))
