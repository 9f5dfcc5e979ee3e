"""Completions alone, and the same completions with more background work than the machine can do."""

from __future__ import annotations

import random
from dataclasses import replace

from cato_lsp.bench.poisson import KindMix, mix_calls
from cato_lsp.bench.workload import Workload, WorkloadCall
from cato_lsp.scheduling.slo import TaskKind

_COMPLETIONS = KindMix(TaskKind.COMPLETION, 1.0, 300, 0.5, 8, 0.5, (64, 1200), (1, 24))


def contention(
    *, rate: float = 1.0, sla_scale: float = 1.0, seed: int = 0, duration: float = 30.0, background: float = 25.0
) -> tuple[Workload, Workload]:
    """Completions alone; and with `background` prompts of 1,000 tokens per second from one client."""
    completions = mix_calls((_COMPLETIONS,), rate=rate, seed=seed, duration=duration)
    alone = Workload("alone", completions, duration, sla_scale)
    rng = random.Random(f"{seed}/background")
    jobs = [
        WorkloadCall(i / background, TaskKind.WARMUP, "background", rng.randint(800, 1200), rng.randint(32, 64))
        for i in range(int(duration * background))
    ]
    calls = sorted([*completions, *jobs], key=lambda call: call.time)
    return alone, replace(alone, name="saturated", calls=calls)
