"""Which replica a call goes to."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.bench.routers import ROUTERS, parse_routers
from cato_lsp.fleet.books import Capacity, NewCall, ReplicaBook
from cato_lsp.fleet.prediction import gain
from cato_lsp.fleet.router import DeadlineRouter, Router
from tests.fleet.calls import COSTS, book, completion, prefill, summary

NAMES = [name for name in sorted(ROUTERS) if name != "prefix" or find_spec("ray")]
SLOW = replace(COSTS, fixed=2 * COSTS.fixed, per_token=2 * COSTS.per_token, recent_step=2 * COSTS.recent_step)

calls = st.builds(
    completion,
    number=st.integers(0, 10**6),
    prompt=st.integers(1, 8000),
    ttft=st.floats(0.01, 1.0),
    document=st.none() | st.integers(1, 3),
)


def send(router: Router, call: NewCall, books: list[ReplicaBook], now: float = 0.0) -> ReplicaBook:
    chosen = router.choose(call, books, now)
    chosen.sent(call, now)
    return chosen


@given(st.lists(calls, max_size=20, unique_by=lambda call: call.id), calls.filter(lambda call: call.id != "0"))
def test_a_call_adds_at_most_itself_and_costs_the_count_nothing(sent: list[NewCall], new: NewCall) -> None:
    """Both sets are the largest possible, and a late call can be given up. So the change is 0 or 1."""
    replica = book("a")
    for call in sent:
        replica.sent(call, 0.0)
    assert gain(replica, replace(new, id="new"), 0.0) in (0.0, 1.0)


@given(st.sampled_from(NAMES), st.lists(calls, max_size=20), st.integers(1, 4))
def test_a_router_chooses_among_the_replicas_that_are_up_and_repeats_itself(
    name: str, made: list[NewCall], count: int
) -> None:
    chosen: list[list[str]] = []
    for _ in range(2):
        router, books = ROUTERS[name](), [book(str(number)) for number in range(count)]
        chosen.append([send(router, replace(call, id=str(i)), books).name for i, call in enumerate(made)])
    assert chosen[0] == chosen[1]


def test_a_call_that_is_on_time_at_its_home_goes_there_whatever_the_load() -> None:
    home, idle = book("home"), book("idle")
    home.sent(completion(0, document=1), 0.0)
    home.sent(prefill(1, prompt=9000), 0.0)
    assert DeadlineRouter().choose(completion(2, document=1), [idle, home], 0.0) is home


def test_a_call_leaves_its_home_if_it_is_late_there_and_on_time_elsewhere() -> None:
    home, idle = book("home"), book("idle")
    home.sent(completion(0, prompt=320, document=1), 0.0)
    for number in range(1, 8):
        home.sent(completion(number, prompt=1000), 0.0)
    # The call needs more at home than anything that is due there, so it would be given up.
    call = completion(9, prompt=3000, document=1)
    assert gain(home, call, 0.0) == 0.0
    assert DeadlineRouter().choose(call, [home, idle], 0.0) is idle


def test_a_call_that_is_late_everywhere_stays_at_home() -> None:
    home, idle = book("home"), book("idle")
    home.sent(completion(0, prompt=320, document=1), 0.0)
    call = completion(1, prompt=5000, ttft=0.05, document=1)
    assert gain(idle, call, 0.0) == 0.0
    assert DeadlineRouter().choose(call, [idle, home], 0.0) is home


def test_long_calls_without_a_home_spread_by_load() -> None:
    router, books = DeadlineRouter(), [book(str(number)) for number in range(4)]
    names = [send(router, summary(number), books).name for number in range(8)]
    assert sorted(names[:4]) == sorted(names[4:]) == ["0", "1", "2", "3"]


def test_a_slow_replica_is_known_by_its_costs_and_gets_less() -> None:
    router, books = DeadlineRouter(), [book("slow"), book("fast")]
    books[0].sent(prefill(0, prompt=32), 0.0)
    books[0].heard("0", 1, 0.0, SLOW)
    books[0].ended("0", 0.0, finished=True)
    names = [send(router, summary(number, seconds=600.0), books).name for number in range(1, 31)]
    assert names.count("slow") == pytest.approx(10, abs=1), "half the speed, half the calls"


def test_a_replica_that_has_been_silent_for_long_gets_no_urgent_call() -> None:
    silent, other = book("silent"), book("other")
    silent.sent(completion(0, document=1), 0.0)
    other.sent(prefill(1, prompt=8000), 1.0)
    call = completion(2, arrival=1.0, document=1)
    assert DeadlineRouter().choose(call, [silent, other], 1.0) is other
    silent.heard("0", 1, 1.0, COSTS)
    assert DeadlineRouter().choose(call, [silent, other], 1.0) is silent


def test_a_replica_without_room_gets_nothing_that_has_a_deadline() -> None:
    full, free = book("full", capacity=Capacity(slots=1, kv_blocks=10_000)), book("free")
    full.sent(completion(0, document=1), 0.0)
    assert DeadlineRouter().choose(completion(1, document=1), [full, free], 0.0) is free


def test_background_work_goes_home_and_else_to_the_least_load() -> None:
    home, idle = book("home"), book("idle")
    home.sent(completion(0, document=1), 0.0)
    assert DeadlineRouter().choose(completion(1, document=1), [idle, home], 0.0) is home
    assert DeadlineRouter().choose(prefill(2), [home, idle], 0.0) is idle


def test_an_unknown_router_is_named() -> None:
    assert parse_routers("session, deadline,session") == ["session", "deadline"]
    with pytest.raises(ValueError, match=r"nonsense.*deadline"):
        parse_routers("deadline,nonsense")


def test_a_replica_whose_steps_wait_for_the_machine_gets_less() -> None:
    router, books = DeadlineRouter(), [book("slow", replace(COSTS, fixed=0.1, per_token=20e-6)), book("fast")]
    names: list[str] = []
    for number in range(30):
        chosen = router.choose(completion(number, arrival=number / 10, ttft=2.0), books, number / 10)
        chosen.sent(completion(number, arrival=number / 10, ttft=2.0), number / 10)
        chosen.ended(str(number), number / 10, finished=False)
        names.append(chosen.name)
    assert 0 < names.count("slow") < 10
