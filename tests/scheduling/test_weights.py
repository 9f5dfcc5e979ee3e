"""What `sla.weights` does to a machine that cannot meet all deadlines, in virtual time."""

from __future__ import annotations

import random
from collections import Counter

from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.scheduling.view import RequestView
from tests.scheduling.conftest import SERVICE
from tests.scheduling.machine import Job, Machine

RATE = 20
"""Calls per second."""
SHARE = 0.15
"""Of summaries."""


def met(seed: int, *, completion: float = 1.0, summarization: float = 1.0) -> Counter[TaskKind]:
    """Deadlines met of each kind, with these weights and more work than the machine can do."""
    rng = random.Random(seed)
    weights = {TaskKind.COMPLETION: completion, TaskKind.SUMMARIZATION: summarization}
    jobs: list[Job] = []
    arrival = 0.0
    while arrival < 30:
        arrival += rng.expovariate(RATE)
        kind, prompt, answer = TaskKind.COMPLETION, rng.randint(300, 1500), 8
        if rng.random() < SHARE:
            kind, prompt, answer = TaskKind.SUMMARIZATION, rng.randint(1500, 4000), rng.randint(40, 100)
        service, seconds = SERVICE[kind]
        slo = Slo(kind, service, arrival, arrival + seconds, f"client-{rng.randrange(20)}", weights[kind])
        order = len(jobs)
        jobs.append(Job(RequestView(str(order), slo, prompt, 512, order, todo=prompt), answer))
    Machine(CatoPolicy(), slots=64, blocks=20_000, max_tokens=2048).play(jobs)
    return Counter(job.view.slo.kind for job in jobs if done(job) <= job.view.slo.deadline)


def done(job: Job) -> float:
    """When the token was out that the deadline is about."""
    moment = job.first if job.view.slo.service is ServiceClass.TTFT else job.last
    assert moment is not None
    return moment


def test_more_summaries_are_on_time_when_they_weigh_five_times_as_much() -> None:
    plain, weighted = (sum((met(seed, summarization=weight) for seed in range(3)), Counter()) for weight in (1.0, 5.0))
    assert weighted[TaskKind.SUMMARIZATION] >= 1.2 * plain[TaskKind.SUMMARIZATION]
    assert weighted[TaskKind.COMPLETION] >= 0.7 * plain[TaskKind.COMPLETION]


def test_only_the_ratio_of_weights_counts() -> None:
    assert met(7, completion=0.25, summarization=0.5) == met(7, completion=1.0, summarization=2.0)
