"""The simulator of a fleet: exact repetition, deaths, slow replicas, late books."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cato_lsp.bench.cli import app
from cato_lsp.bench.fleet import FleetTwin
from cato_lsp.bench.fleet_plan import FleetPlan
from cato_lsp.bench.hardware import load_profile
from cato_lsp.bench.poisson import poisson
from cato_lsp.bench.policies import POLICIES
from cato_lsp.bench.routers import ROUTERS
from cato_lsp.bench.simulate import simulate, simulate_fleet
from cato_lsp.bench.workload import Workload, WorkloadCall
from cato_lsp.scheduling.slo import TaskKind

H200 = load_profile("h200-qwen2.5-coder-7b")


def fleet(load: Workload, plan: FleetPlan, router: str = "deadline", policy: str = "cato") -> FleetTwin:
    return FleetTwin(load, POLICIES[policy], H200, plan, ROUTERS[router])


def test_one_replica_without_hops_is_the_plain_simulation_to_the_last_step() -> None:
    """With stock vLLM: ours learns from the warm-up that only replicas of a fleet have."""
    load = poisson(rate=1.0, seed=5, duration=4)
    (plain,) = simulate(load, ["priority"], H200)
    (run,) = simulate_fleet(load, ["priority"], ["power-of-two"], FleetPlan(1, hop=0.0), H200)
    assert run.policy == "priority/power-of-two"
    assert run.steps == plain.steps
    assert [(o.first, o.last) for o in run.results] == [(o.first, o.last) for o in plain.results]


def test_a_replica_dies_and_every_call_is_still_answered_once_in_the_same_way_each_time() -> None:
    load = poisson(rate=2.5, seed=6, duration=4)
    runs = []
    for _ in range(2):
        twin = fleet(load, FleetPlan(3, deaths={0: 2.0}, gateways=2))
        runs.append(twin.play())
        assert twin.moved > 0
    run, again = runs
    assert [(o.first, o.last) for o in run.results] == [(o.first, o.last) for o in again.results]
    assert [o.generated for o in run.results] == [call.answer for call in load.calls]
    assert not any(math.isnan(o.last) for o in run.results)


def test_a_call_that_lost_its_replica_goes_on_from_the_tokens_that_were_delivered() -> None:
    load = Workload("one", [WorkloadCall(0.0, TaskKind.TRANSLATION, "a", 1000, 100)], 1.0)
    twin = fleet(load, FleetPlan(2, deaths={0: 0.5}))
    run = twin.play()
    (result,) = run.results
    assert twin.sent == {"replica-0": 1, "replica-1": 1}
    assert result.generated == 100
    # Read again on the other replica: the prompt and what the gateway had, less than a whole answer.
    assert 2000 + 99 < result.computed < 2000 + 99 + 100
    assert result.last > 0.5


def test_calls_of_a_replica_that_has_fallen_silent_are_sent_to_a_second_one_and_answered_once() -> None:
    load = poisson(rate=2.0, seed=8, duration=6)
    met = {}
    for router in ("deadline", "round-robin"):
        twin = fleet(load, FleetPlan(3, deaths={0: 3.0}, found_dead=4.0), router)
        run = twin.play()
        assert [o.generated for o in run.results] == [call.answer for call in load.calls]
        assert (twin.hedged > 0) == (router == "deadline")
        met[router] = sum(o.met for o in run.results)
    assert met["deadline"] > met["round-robin"]


def test_no_call_is_sent_twice_while_all_replicas_answer() -> None:
    twin = fleet(poisson(rate=3.0, seed=8, duration=6), FleetPlan(3, slow={1: 2.0}))
    twin.play()
    assert twin.hedged == 0


def test_calls_wait_for_a_replica_that_is_loading_if_none_is_up() -> None:
    load = Workload("one", [WorkloadCall(0.0, TaskKind.SUMMARIZATION, "a", 100, 5)], 1.0)
    (result,) = fleet(load, FleetPlan(1, joins={0: 3.0})).play().results
    assert 3.0 < result.first < 3.1


def test_a_slow_replica_is_found_and_gets_less() -> None:
    twin = fleet(poisson(rate=2.0, seed=7, duration=6), FleetPlan(3, slow={1: 3.0}))
    twin.play()
    assert twin.sent["replica-1"] < 0.75 * min(twin.sent["replica-0"], twin.sent["replica-2"])


def test_a_cancelled_call_is_computed_until_the_replica_hears_of_it() -> None:
    made = [
        WorkloadCall(0.0, TaskKind.TRANSLATION, "b", 10, 400),
        WorkloadCall(0.1, TaskKind.COMPLETION, "a", 300, 400),
        WorkloadCall(0.3, TaskKind.COMPLETION, "a", 0, 0, supersedes=True),
    ]
    wasted = []
    for hop in (0.0, 0.05):
        run = fleet(Workload("cancel", made, 1.0), FleetPlan(1, hop=hop)).play()
        late = [step for step in run.steps if step.start > 0.3 and 1 in step.tokens]
        assert all(step.start <= 0.3 + hop for step in late)
        assert run.results[1].wasted == sum(s.tokens.get(1, 0) for s in run.steps if s.end > 0.3)
        wasted.append(run.results[1].wasted)
    assert wasted[0] < wasted[1]


def test_an_answer_counts_when_the_gateway_has_it() -> None:
    load = Workload("one", [WorkloadCall(0.0, TaskKind.COMPLETION, "a", 300, 5)], 1.0)
    (near,), (far,) = (fleet(load, FleetPlan(1, hop=hop)).play().results for hop in (0.0, 0.01))
    assert far.ttft == pytest.approx(near.ttft + 0.02)


def test_prefixes_keep_documents_at_home_by_rays_own_tree() -> None:
    pytest.importorskip("ray")
    calls = [
        WorkloadCall(i * 0.05, TaskKind.COMPLETION, f"c{i % 3}", 800 + i, 3, document=i % 3, typed=1) for i in range(30)
    ]
    load = replace(Workload("documents", calls, 2.0), shares_prefixes=True)
    for router in ("prefix", "deadline"):
        twin = fleet(load, FleetPlan(3), router)
        run = twin.play()
        assert sum(result.computed for result in run.results) < 3 * 900 + 30 * 40
    assert sorted(twin.sent.values()) == [10, 10, 10]


def test_simulate_with_replicas_reports_each_policy_with_each_router(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = ["simulate", "--replicas", "2", "--router", "session,deadline", "--policies", "cato"]
    found = CliRunner().invoke(app, [*command, "--rate", "1", "--duration", "0.5", "--json", str(path)])
    assert found.exit_code == 0, found.output
    text = path.read_text()
    assert all(f'"{name}"' in text for name in ("cato/session", "cato/deadline"))
    refused = CliRunner().invoke(app, ["simulate", "--replicas", "2", "--router", "nonsense"])
    assert refused.exit_code == 2
