"""The number of replicas of a simulated fleet: load times, replicas that leave, Ray's own decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from cato_lsp.bench.autoscale import Autoscaler, DeadlineAutoscaler
from cato_lsp.bench.fleet import FleetTwin
from cato_lsp.bench.fleet_plan import FleetPlan
from cato_lsp.bench.hardware import load_profile
from cato_lsp.bench.poisson import MIX, poisson, varying
from cato_lsp.bench.policies import POLICIES
from cato_lsp.bench.ray_autoscaler import RayAutoscaler
from cato_lsp.bench.routers import ROUTERS
from cato_lsp.bench.workload import Workload
from cato_lsp.fleet.books import NewCall, ReplicaBook
from tests.fleet.calls import book, completion

H200 = load_profile("h200-qwen2.5-coder-7b")


class Scripted:
    """Wants a number of replicas from a time on; keeps how many were up."""

    def __init__(self, wanted: dict[float, int]) -> None:
        self._wanted = wanted
        self.up: list[int] = []
        self.calls = 0

    def routed(self, _call: NewCall, _chosen: ReplicaBook, _books: Sequence[ReplicaBook], _now: float, /) -> None:
        self.calls += 1

    def target(self, books: Sequence[ReplicaBook], _target: int, now: float, /) -> int:
        self.up.append(len(books))
        return [number for time, number in self._wanted.items() if time <= now][-1]


def fleet(load: Workload, scaler: Autoscaler, load_seconds: float) -> FleetTwin:
    plan = FleetPlan(1, load_seconds=load_seconds)
    return FleetTwin(load, POLICIES["cato"], H200, plan, ROUTERS["deadline"], scaler)


def test_replicas_come_after_their_load_time_and_leave_when_their_calls_are_answered() -> None:
    load = poisson(rate=1.5, seed=8, duration=10)
    scaler = Scripted({0: 1, 2: 3, 7: 1})
    twin = fleet(load, scaler, 3.0)
    run = twin.play()
    assert scaler.up == [1, 1, 1, 1, 1, 3, 3, 3, 1, 1]
    assert scaler.calls == len(load.calls)
    assert twin.moved == 0
    assert min(twin.sent.values()) > 0
    assert sum(math.isnan(result.last) for result in run.results) == twin.refused
    assert 10 + 2 * (7 - 2) < twin.replica_seconds <= 10 + 2 * (10 - 2)


def test_a_replica_that_is_no_longer_wanted_while_it_loads_never_joins() -> None:
    twin = fleet(poisson(rate=0.5, seed=8, duration=6), Scripted({0: 1, 1: 2, 3: 1}), 3.0)
    twin.play()
    assert set(twin.sent) == {"replica-0"}
    assert twin.replica_seconds == 6 + 2


def test_a_fleet_grows_with_the_deadlines_that_one_replica_would_miss() -> None:
    calls = varying(MIX, lambda time: 0.5 if time < 4 else 2.0, most=2.0, seed=9, duration=14.0)
    assert 3 < len(calls) / sum(call.time < 4 for call in calls) / 2 < 8
    twin = fleet(Workload("rise", calls, 14.0), DeadlineAutoscaler(1, 3, load_seconds=2.0, spare=0), 2.0)
    twin.play()
    assert len(twin.sent) > 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*")
def test_rays_default_autoscaler_waits_half_a_minute_to_grow_and_ten_to_shrink() -> None:
    pytest.importorskip("ray")
    scaler, one = RayAutoscaler(1, 8), book("0")
    for number in range(12):
        one.sent(completion(number), 0.0)
    grown = [scaler.target([one], 1, now) for now in range(31)]
    assert grown == [1] * 30 + [6]  # two open calls for each
    idle = [book(str(number)) for number in range(6)]
    shrunk = [scaler.target(idle, 6, 31.0 + now) for now in range(700)]
    assert shrunk[:600] == [6] * 600
    assert min(shrunk) == 1
    assert RayAutoscaler(1, 8, target_ongoing_requests=100.0).target([one], 1, 0.0) == 1
