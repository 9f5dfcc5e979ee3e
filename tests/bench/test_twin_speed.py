"""How many steps a second the twin makes. Run with `pytest tests/bench/test_twin_speed.py --benchmark-only`."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cato_lsp.bench.hardware import load_profile
from cato_lsp.bench.poisson import poisson
from cato_lsp.bench.policies import POLICIES
from cato_lsp.bench.simulate import without_garbage_collection


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("rate", [0.6, 1.0])
@pytest.mark.parametrize("policy", ["fcfs", "cato"])
def test_playing_the_mix(benchmark: Any, policy: str, rate: float) -> None:
    """Processor time, so that other work on the machine disturbs it less; `steps_per_s` is of the best round."""
    from cato_lsp.bench.twin import Twin

    workload, profile = poisson(rate=rate, seed=0, duration=60.0), load_profile("h200-qwen2.5-coder-7b")

    def setup() -> tuple[tuple[Twin], dict[str, Any]]:
        return (Twin(workload, POLICIES[policy], profile),), {}

    with without_garbage_collection():
        run = benchmark.pedantic(Twin.play, setup=setup, rounds=3)
    assert run.policy_errors == 0
    benchmark.extra_info["steps"] = len(run.steps)
    benchmark.extra_info["steps_per_s"] = round(len(run.steps) / benchmark.stats.stats.min)
