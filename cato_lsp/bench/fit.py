"""A hardware profile, fitted to the steps of a live engine."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.live import LiveEngine, LiveOptions, LivePlayer
from cato_lsp.bench.policies import POLICIES
from cato_lsp.bench.workload import Workload, WorkloadCall
from cato_lsp.scheduling.cost import StepCost, StepCostModel
from cato_lsp.scheduling.slo import TaskKind

CALLS = 96
WARMUP_STEPS = 32


class _Recorder(StepCostModel):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[StepCost] = []

    def learn(self, cost: StepCost) -> None:
        self.seen.append(cost)


def fit_profile(name: str, source: str, options: LiveOptions, *, seed: int = 0) -> HardwareProfile:
    """Run prompts and answers of many lengths, and fit the cost of a step by non-negative least squares.

    The lengths suit `max_model_len`; `length_scale` does not apply.
    """
    options = replace(options, length_scale=1.0)
    recorder = _Recorder()
    engine = LiveEngine(POLICIES["edf"], options)
    engine.scheduler.cost_model = recorder
    try:
        LivePlayer(engine, "edf", _mixture(options, random.Random(seed))).play()
        blocks = engine.scheduler.kv_cache_manager.block_pool.num_gpu_blocks
        kv_tokens = int(blocks * engine.scheduler.block_size)
    finally:
        engine.close()
    fixed, token, sequence, context = _least_squares(recorder.seen[WARMUP_STEPS:])
    return HardwareProfile(
        name=name,
        source=source,
        step_seconds=fixed,
        seconds_per_token=token,
        seconds_per_sequence=sequence,
        seconds_per_context_token=context,
        kv_tokens=kv_tokens,
        max_slots=options.max_slots,
        max_tokens=options.max_tokens,
        max_model_len=options.max_model_len,
    )


def _mixture(options: LiveOptions, rng: random.Random) -> Workload:
    longest = options.max_model_len // 2
    calls = [
        WorkloadCall(
            i * 0.02,
            TaskKind.TRANSLATION,
            f"client-{i}",
            int(longest ** rng.uniform(0.4, 1.0)),
            rng.randint(4, max(8, longest // 16)),
        )
        for i in range(CALLS)
    ]
    return Workload("mixture", calls, CALLS * 0.02)


def _least_squares(costs: list[StepCost]) -> list[float]:
    import numpy as np

    rows: Any = np.array([[1.0, c.tokens, c.sequences, c.context] for c in costs])
    seconds: Any = np.array([c.seconds for c in costs])
    # Weigh steps by their duration, so that few long steps do not dominate many short ones. Leave out outliers, which
    # are pauses of the process.
    weight = 1.0 / np.maximum(seconds, 1e-4)
    solution = [0.0] * 4
    active = [0, 1, 2, 3]
    for _ in range(8):
        linalg: Any = np.linalg
        found: list[float] = linalg.lstsq(rows[:, active] * weight[:, None], seconds * weight, rcond=None)[0].tolist()
        solution = [0.0] * 4
        for index, value in zip(active, found, strict=True):
            solution[index] = value
        if min(solution) < 0:
            active = [i for i in active if solution[i] > 0]
            continue
        usual = seconds < 2.0 * (rows @ np.array(solution))
        if usual.all():
            break
        rows, seconds, weight = rows[usual], seconds[usual], weight[usual]
    return solution
