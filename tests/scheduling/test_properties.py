"""What holds for every load: limits, an end for everybody, a bound on waiting, fair shares, repetition."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import mean

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cato_lsp.bench.baselines import EarliestDeadlineFirst, PressureAdaptive
from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.options import CatoOptions
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.scheduling.view import RequestView
from tests.scheduling.conftest import SERVICE
from tests.scheduling.machine import Job, Machine

LONGEST_ANSWER = 40
SLOW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Drawn = tuple[TaskKind, int, float, int, str]


def make(drawn: list[Drawn]) -> list[Job]:
    """Jobs from kind, prompt, arrival, answer and client."""
    jobs: list[Job] = []
    for order, (kind, prompt, arrival, answer, client) in enumerate(sorted(drawn, key=lambda d: d[2])):
        service, seconds = SERVICE[kind]
        slo = Slo(kind, service, arrival, arrival + seconds, client)
        jobs.append(Job(RequestView(str(order), slo, prompt, LONGEST_ANSWER, order, todo=prompt), answer))
    return jobs


loads = st.lists(
    st.tuples(
        st.sampled_from(list(TaskKind)),
        st.integers(1, 1500),
        st.floats(0, 3),
        st.integers(1, LONGEST_ANSWER),
        st.sampled_from("abc"),
    ),
    min_size=1,
    max_size=30,
)
POLICIES = {"cato": CatoPolicy, "edf": EarliestDeadlineFirst, "pressure": PressureAdaptive}


@pytest.mark.parametrize("policy", POLICIES)
@SLOW
@given(loads, st.integers(1, 6))
def test_every_request_ends_and_no_step_exceeds_tokens_or_slots(policy: str, drawn: list[Drawn], slots: int) -> None:
    jobs = make(drawn)
    Machine(POLICIES[policy](), slots=slots).play(jobs)  # it checks every plan
    assert all(job.view.generated == job.answer for job in jobs)


@SLOW
@given(loads, st.integers(100, 300))
def test_every_request_ends_when_blocks_are_short(drawn: list[Drawn], blocks: int) -> None:
    jobs = make(drawn)
    Machine(CatoPolicy(), blocks=blocks).play(jobs)
    assert all(job.view.generated == job.answer for job in jobs)


@SLOW
@given(loads)
def test_the_same_load_gets_the_same_plans(drawn: list[Drawn]) -> None:
    first, second = Machine(CatoPolicy()), Machine(CatoPolicy())
    first.play(make(drawn))
    second.play(make(drawn))
    assert first.plans == second.plans
    assert [list(p.grants) for p in first.plans] == [list(p.grants) for p in second.plans]


def flood(seconds: float, per_second: float, prompt: int) -> list[Drawn]:
    count = int(seconds * per_second)
    return [(TaskKind.COMPLETION, prompt, i / per_second, 3, "flood") for i in range(count)]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(TaskKind)),
            st.integers(1, 1500),
            st.floats(0, 2),
            st.integers(1, LONGEST_ANSWER),
            st.just("patient"),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 4),
    st.integers(100, 400),
    st.integers(100, 700),
)
@example([(TaskKind.WARMUP, 1500, 0.0, LONGEST_ANSWER, "patient")] * 2, 1, 100, 300)
def test_no_request_starves_beyond_the_stated_bound(patient: list[Drawn], slots: int, blocks: int, prompt: int) -> None:
    patience = 2.0
    policy = CatoPolicy(CatoOptions(patience=patience))
    machine = Machine(policy, slots=slots, blocks=blocks)
    jobs = make([*patient, *flood(12.0, 30.0, prompt)])
    machine.play(jobs)
    protection = max(seconds for service, seconds in SERVICE.values() if service is ServiceClass.TTFT)
    allowed = patience
    for job in jobs:
        prefill = math.ceil(job.view.prompt / policy.options.reserve)
        allowed += machine.longest * (prefill + 3 * LONGEST_ANSWER) + protection
        assert job.first is not None
        assert job.first <= job.view.slo.arrival + allowed


def met(jobs: list[Job], client: str) -> float:
    """The part of a client's deadlines that is met."""
    return mean(done <= job.view.slo.deadline for job in jobs if job.view.slo.client == client and (done := job.first))


@SLOW
@given(st.floats(1e-4, 1e3), st.integers(1, 200), st.integers(1, 6), st.integers(300, 1200))
@example(0.001, 1, 1, 600)
@example(0.001, 200, 6, 600)
def test_no_deadline_of_one_client_costs_another_client_its_own(
    seconds: float, prompt: int, per_second: int, modest_prompt: int
) -> None:
    """A client whose calls are light, whatever it asks for, beside one that uses a third of the machine."""
    drawn = [(TaskKind.COMPLETION, modest_prompt, 0.3 * i, 3, "modest") for i in range(60)]
    drawn += [(TaskKind.COMPLETION, prompt, i / per_second, 1, "hasty") for i in range(18 * per_second)]
    jobs = make(drawn)
    for job in jobs:
        if job.view.slo.client == "hasty":
            job.view.slo = replace(job.view.slo, deadline=job.view.slo.arrival + seconds)
    Machine(CatoPolicy()).play(jobs)
    assert met(jobs, "modest") >= 0.95


@SLOW
@given(st.integers(4, 12), st.integers(500, 1200), st.integers(1, 12), st.floats(0.4, 2.0))
@example(8, 1000, 8, 0.4)
def test_a_client_that_asks_in_bursts_meets_no_greater_part_of_its_deadlines_than_a_modest_one(
    greed: int, prompt: int, place: int, gap: float
) -> None:
    """`greed` calls at once, `gap` seconds apart, of which the machine can do a few; the modest client asks for one."""
    clients = ["greedy"] * greed
    clients.insert(min(place, greed), "modest")
    jobs = make([(TaskKind.COMPLETION, prompt, gap * i, 1, client) for i in range(40) for client in clients])
    Machine(CatoPolicy(), slots=64, max_tokens=2048).play(jobs)
    jobs = [job for job in jobs if job.view.slo.arrival >= 5 * gap]  # the first bursts are of unknown cost
    assert met(jobs, "modest") >= met(jobs, "greedy")
