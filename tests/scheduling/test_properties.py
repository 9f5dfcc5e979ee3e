"""What holds for every load: limits, an end for everybody, a bound on waiting, fair shares, repetition."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cato_lsp.scheduling.baselines import EarliestDeadlineFirst, PressureAdaptive
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
POLICIES = {
    "cato": CatoPolicy,
    "edf": EarliestDeadlineFirst,
    "pressure": PressureAdaptive,
    **{
        f"cato without {name}": lambda name=name: CatoPolicy(CatoOptions(**{name: False}))
        for name in ("feasibility", "adaptive_step", "second_chance", "e2e_starts", "pace", "share", "fairness")
    },
}


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
def test_nobody_starves_beyond_the_bound_that_the_planner_states(
    patient: list[Drawn], slots: int, blocks: int, prompt: int
) -> None:
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


def kept_by_client(
    policy: CatoPolicy, greed: int, prompt: int, *, place: int | None = None, gap: float = 0.4
) -> dict[str, float]:
    """The part of each client's promises that is kept when one asks `greed` times as often as the other.

    They ask in bursts, `gap` seconds from one to the next. In a burst all have one due time and are served in line:
    the modest one has `place` others behind it (all if unset). The first bursts, of unknown cost, do not count.
    """
    clients = ["greedy"] * greed
    clients.insert(greed if place is None else place, "modest")
    drawn: list[Drawn] = [(TaskKind.COMPLETION, prompt, gap * i, 1, client) for i in range(40) for client in clients]
    jobs = make(drawn)
    Machine(policy, slots=64, max_tokens=2048).play(jobs)
    kept: dict[str, list[bool]] = {"modest": [], "greedy": []}
    for job in jobs:
        assert job.first is not None
        if job.view.slo.arrival >= 5 * gap:
            kept[job.view.slo.client].append(job.first <= job.view.slo.deadline)
    return {client: sum(each) / len(each) for client, each in kept.items()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(2, 12), st.integers(500, 1200), st.integers(1, 12), st.floats(0.25, 2.0))
@example(3, 1000, 3, 0.4)
@example(4, 750, 1, 1.0)
def test_who_asks_for_more_than_a_fair_share_keeps_no_greater_part_of_it(
    greed: int, prompt: int, place: int, gap: float
) -> None:
    """From twice as much on, whether or not the machine clears a burst before the next.

    Not for the very last in line: it pays when a step takes longer than was predicted, whoever it is.
    """
    policy = CatoPolicy(CatoOptions(fair_tokens=2 * prompt))
    kept = kept_by_client(policy, greed, prompt, place=min(place, greed), gap=gap)
    assert kept["modest"] >= kept["greedy"]


def test_without_fair_shares_a_greedy_client_costs_a_modest_one_its_promises() -> None:
    fair = kept_by_client(CatoPolicy(CatoOptions(fair_tokens=2000)), greed=8, prompt=1000)
    blind = kept_by_client(CatoPolicy(CatoOptions(fairness=False)), greed=8, prompt=1000)
    assert fair["modest"] > 0.8 > blind["modest"]
