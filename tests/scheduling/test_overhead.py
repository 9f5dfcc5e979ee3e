"""What planning a step costs. Run with `pytest tests/scheduling/test_overhead.py --benchmark-only`."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.scheduling.view import RequestView, StepView

KINDS = [(TaskKind.COMPLETION, ServiceClass.TTFT, 0.2)] * 6 + [
    (TaskKind.GENERATION, ServiceClass.TTFT, 0.5),
    (TaskKind.SUMMARIZATION, ServiceClass.E2E, 6.0),
    (TaskKind.TRANSLATION, ServiceClass.E2E, 45.0),
]


def crowd(count: int) -> StepView:
    """Half of them running, most of these in the middle of an answer; a third of the others already late."""
    rng = random.Random(count)
    view = StepView(100.0, [], [], 8192, count, 10**6, 16)
    for i in range(count):
        kind, service, seconds = rng.choice(KINDS)
        arrival = 100.0 - seconds * rng.random() * 1.5
        slo = Slo(kind, service, arrival, arrival + seconds, f"client-{i % 16}")
        request = RequestView(str(i), slo, 2000, 512, i, todo=rng.randint(100, 4000))
        if i % 2:
            request.running = True
            if rng.random() < 0.7:
                request.generated, request.computed, request.todo = 50, 2049, 1
        (view.running if request.running else view.waiting).append(request)
    return view


@pytest.mark.parametrize("count", [64, 250, 1000])
def test_planning_a_step(benchmark: Any, count: int) -> None:
    policy, view = CatoPolicy(), crowd(count)
    plan = benchmark(policy.plan, view)
    assert plan.grants
