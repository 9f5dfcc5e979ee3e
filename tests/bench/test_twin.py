"""The virtual-time twin: vLLM's real core, our policies, exact repetition."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cato_lsp.bench.hardware import HardwareProfile, load_profile
from cato_lsp.bench.metrics import run_summary
from cato_lsp.bench.poisson import poisson
from cato_lsp.bench.policies import POLICIES
from cato_lsp.bench.result import Run
from cato_lsp.bench.simulate import simulate
from cato_lsp.bench.workload import Workload, WorkloadCall
from cato_lsp.scheduling.slo import TaskKind

SMALL = HardwareProfile(
    name="small",
    source="made up for tests",
    step_seconds=5e-3,
    seconds_per_token=50e-6,
    seconds_per_sequence=1e-4,
    seconds_per_context_token=1e-8,
    kv_tokens=4096,
    max_slots=4,
    max_tokens=256,
    max_model_len=2048,
)
"""Short of everything: four slots, two prompts' worth of KV cache, small steps."""


RIVALS = ("fcfs", "priority", "edf")
"""The baselines that come closest there; `docs/benchmarks.md` has them all."""


def play(workload: Workload, *policies: str, profile: HardwareProfile | None = None) -> list[Run]:
    return simulate(workload, policies, profile or load_profile("h200-qwen2.5-coder-7b"))


calls = st.lists(
    st.builds(
        WorkloadCall,
        time=st.floats(0, 2),
        kind=st.sampled_from(list(TaskKind)),
        client=st.sampled_from(["a", "b"]),
        prompt=st.integers(1, 1500),
        answer=st.integers(1, 40),
        supersedes=st.booleans(),
    ),
    min_size=1,
    max_size=12,
).map(lambda made: sorted(made, key=lambda call: call.time))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls, st.sampled_from(["cato", "edf", "pressure"]))
def test_every_request_ends_and_gives_back_what_it_held(made: Sequence[WorkloadCall], policy: str) -> None:
    from cato_lsp.bench.twin import Twin

    twin = Twin(Workload("drawn", made, 2.0), POLICIES[policy], SMALL)
    pool = twin.core.scheduler.kv_cache_manager.block_pool
    free = pool.get_num_free_blocks()
    run = twin.play()
    assert run.policy_errors == 0
    assert pool.get_num_free_blocks() == free
    for result in run.results:
        assert not math.isnan(result.last) or not math.isnan(result.cancelled)
    for step in run.steps:
        assert sum(step.tokens.values()) <= SMALL.max_tokens
        assert len(step.tokens) <= SMALL.max_slots


def test_the_same_workload_gives_the_same_run_to_the_last_step() -> None:
    workload = poisson(rate=1.0, seed=5, duration=4)
    first, second = play(workload, "cato")[0], play(workload, "cato")[0]
    assert [(s.start, s.end, s.tokens) for s in first.steps] == [(s.start, s.end, s.tokens) for s in second.steps]
    assert [o.first for o in first.results] == [o.first for o in second.results]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls, st.sampled_from(["fcfs", "cato"]))
def test_a_run_is_the_same_when_vllm_is_asked_for_blocks_in_every_step(
    made: Sequence[WorkloadCall], policy: str
) -> None:
    from cato_lsp.bench import core
    from cato_lsp.bench.twin import Twin

    load = Workload("drawn", made, 2.0)
    run = Twin(load, POLICIES[policy], SMALL).play()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "skip_idle_allocations", lambda _scheduler: None)
        whole = Twin(load, POLICIES[policy], SMALL).play()
    assert run.steps == whole.steps
    assert [(o.first, o.last) for o in run.results] == [(o.first, o.last) for o in whole.results]


def test_near_saturation_more_deadlines_are_met_than_by_any_baseline() -> None:
    workload = poisson(rate=1.0, seed=0, duration=25)
    kept = {run.policy: run_summary(run)["goodput_per_s"] for run in play(workload, *RIVALS, "cato")}
    best = max(kept[name] for name in RIVALS)
    assert kept["cato"] >= 1.3 * best


def test_under_overload_the_long_tasks_are_not_given_up_for_the_short() -> None:
    runs = {run.policy: run_summary(run) for run in play(poisson(rate=1.6, seed=0, duration=15), "fcfs", "edf", "cato")}
    assert runs["cato"]["goodput_per_s"] >= 1.8 * max(runs[n]["goodput_per_s"] for n in ("fcfs", "edf"))
    for kind in ("summarization", "translation"):
        attained = [runs[n]["kinds"][kind]["attained"] for n in ("fcfs", "edf")]
        assert runs["cato"]["kinds"][kind]["attained"] >= max(attained)


def test_all_that_is_asked_is_computed_in_the_end() -> None:
    workload = poisson(rate=1.5, seed=2, duration=6)
    for run in play(workload, "fcfs", "cato"):
        for call, result in zip(workload.calls, run.results, strict=True):
            assert result.generated == call.answer
            assert result.computed >= call.prompt + call.answer - 1


def test_a_cancelled_call_costs_nothing_after_the_step_that_runs() -> None:
    made = [
        WorkloadCall(0.0, TaskKind.COMPLETION, "a", 6000, 50),
        WorkloadCall(0.03, TaskKind.COMPLETION, "a", 500, 5, supersedes=True),
    ]
    run = play(Workload("cancel", made, 1.0), "cato")[0]
    cancelled_at = run.results[0].cancelled
    assert cancelled_at == pytest.approx(0.03)
    assert all(0 not in step.tokens for step in run.steps if step.start > cancelled_at)
    assert run.results[0].wasted == sum(s.tokens.get(0, 0) for s in run.steps if s.end > cancelled_at)


def test_no_request_waits_longer_than_patience_and_the_work_before_it() -> None:
    patience = 30.0
    flood = [WorkloadCall(i * 0.05, TaskKind.COMPLETION, f"c{i % 8}", 2500, 1) for i in range(1400)]
    forgotten = WorkloadCall(0.5, TaskKind.WARMUP, "patient", 3000, 2)
    made = sorted([*flood, forgotten], key=lambda call: call.time)
    run = play(Workload("flood", made, 70.0), "cato")[0]
    result = next(o for o in run.results if o.slo.kind is TaskKind.WARMUP)
    assert 0.5 + patience < result.first < 70.0, "it ran while the flood went on"
