"""The mix of four kinds of task, arriving independently."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from cato_lsp.bench.workload import Workload, WorkloadCall, clip
from cato_lsp.scheduling.slo import TaskKind


@dataclass(frozen=True, slots=True)
class KindMix:
    """The arrivals of one kind of task: rate, and lognormal lengths by median and sigma."""

    kind: TaskKind
    per_second: float
    prompt_median: float
    prompt_sigma: float
    answer_median: float
    answer_sigma: float
    prompt_bounds: tuple[int, int]
    answer_bounds: tuple[int, int]


MIX = (
    KindMix(TaskKind.COMPLETION, 10.0, 1500, 0.8, 16, 0.8, (100, 7500), (1, 256)),
    KindMix(TaskKind.GENERATION, 1.0, 1500, 0.6, 150, 0.5, (100, 7500), (8, 1000)),
    KindMix(TaskKind.SUMMARIZATION, 1.0, 4000, 0.5, 120, 0.3, (500, 12000), (30, 400)),
    KindMix(TaskKind.TRANSLATION, 0.5, 3000, 0.5, 1500, 0.4, (300, 8000), (200, 4000)),
)
"""The mix at rate 1. Prompts of completions have the shape of the Azure code trace (2023)."""


def mix_calls(
    kinds: tuple[KindMix, ...], *, rate: float, seed: int, duration: float, clients: int = 16
) -> list[WorkloadCall]:
    """Draw Poisson arrivals of `kinds` during `duration` seconds, from `clients` random editor windows."""
    calls: list[WorkloadCall] = []
    for mix in kinds:
        rng = random.Random(f"{seed}/{mix.kind}")
        time = rng.expovariate(mix.per_second * rate)
        while time < duration:
            prompt = clip(rng.lognormvariate(0, mix.prompt_sigma) * mix.prompt_median, *mix.prompt_bounds)
            answer = clip(rng.lognormvariate(0, mix.answer_sigma) * mix.answer_median, *mix.answer_bounds)
            calls.append(WorkloadCall(time, mix.kind, f"client-{rng.randrange(clients)}", prompt, answer))
            time += rng.expovariate(mix.per_second * rate)
    return sorted(calls, key=lambda call: call.time)


def poisson(*, rate: float = 1.0, sla_scale: float = 1.0, seed: int = 0, duration: float = 120.0) -> Workload:
    """The workload `poisson`: `rate` times the mix."""
    calls = mix_calls(MIX, rate=rate, seed=seed, duration=duration)
    return Workload("poisson", calls, duration, sla_scale)


def varying(
    kinds: tuple[KindMix, ...], load: Callable[[float], float], *, most: float, seed: int, duration: float
) -> list[WorkloadCall]:
    """Draw Poisson arrivals whose rate changes: ``load(time)``, which is never above `most`, times that of `kinds`."""
    rng = random.Random(f"{seed}/varying")
    calls = mix_calls(kinds, rate=most, seed=seed, duration=duration)
    return [call for call in calls if rng.random() * most < load(call.time)]


def greedy(*, rate: float = 1.0, sla_scale: float = 1.0, seed: int = 0, duration: float = 120.0) -> Workload:
    """The workload `greedy`: 0.6 times `rate` of the mix, and one client that sends twelve completions every second."""
    calls = mix_calls(MIX, rate=0.6 * rate, seed=seed, duration=duration)
    rng = random.Random(f"{seed}/greedy")
    time = rng.random()
    while time < duration:
        calls += [WorkloadCall(time, TaskKind.COMPLETION, "greedy", rng.randint(1000, 2000), 16) for _ in range(12)]
        time += 1.0
    return Workload("greedy", sorted(calls, key=lambda call: call.time), duration, sla_scale)
