"""How many replicas are wanted."""

from __future__ import annotations

from dataclasses import replace

from cato_lsp.fleet.books import ReplicaBook
from cato_lsp.fleet.router import DeadlineRouter
from cato_lsp.fleet.scaling import Scaler
from tests.fleet.calls import COSTS, book, completion


def play(
    scaler: Scaler, books: list[ReplicaBook], per_second: float, start: float, seconds: float, prompt: int = 2000
) -> None:
    """Completions at a steady rate. A replica reads them one after the other, and hears of no end later than it is."""
    free = {each.name: start for each in books}
    ends: list[tuple[float, ReplicaBook, str]] = []
    router = DeadlineRouter()
    for number in range(int(per_second * seconds)):
        now = start + number / per_second
        for due, at, name in [each for each in ends if each[0] <= now]:
            at.heard(name, 1, due, COSTS)
            at.ended(name, due, finished=True)
            ends.remove((due, at, name))
        call = replace(completion(number, prompt=prompt, arrival=now), id=f"{start}/{number}")
        chosen = router.choose(call, books, now)
        scaler.routed(call, chosen, books, now)
        free[chosen.name] = max(now, free[chosen.name]) + chosen.prefill(call) + COSTS.fixed
        chosen.sent(call, now)
        ends.append((free[chosen.name], chosen, call.id))


def fleet(count: int) -> list[ReplicaBook]:
    return [book(str(number)) for number in range(count)]


def test_missed_deadlines_ask_for_more_and_the_more_the_more_are_missed() -> None:
    some, many = (Scaler(1, 20, spare=0) for _ in range(2))
    books = fleet(2)
    play(some, books, 60.0, 0.0, 5.0)
    more = some.wanted(books, 5.0)
    assert more > 2
    books = fleet(2)
    play(many, books, 120.0, 0.0, 5.0)
    assert many.wanted(books, 5.0) > more


def test_a_fleet_shrinks_only_once_a_smaller_one_would_have_met_all_for_twice_the_time_to_load() -> None:
    scaler, books = Scaler(1, 20, spare=0, load_seconds=20.0), fleet(3)
    play(scaler, books, 5.0, 0.0, 35.0)
    assert scaler.wanted(books, 35.0) == 3
    play(scaler, books, 5.0, 35.0, 10.0)
    assert scaler.wanted(books, 45.0) == 2
    assert scaler.wanted(books[:2], 45.0) == 2, "it waits as long for the next"


def test_prompts_so_long_that_only_an_idle_replica_is_in_time_do_not_keep_a_fleet_large() -> None:
    scaler, books = Scaler(1, 20, spare=0, load_seconds=10.0), fleet(3)
    play(scaler, books, 2.0, 0.0, 35.0, prompt=6000)
    assert scaler.wanted(books, 35.0) == 2


def test_a_fleet_keeps_what_it_needs() -> None:
    scaler, books = Scaler(1, 20, spare=0, load_seconds=10.0), fleet(3)
    play(scaler, books, 30.0, 0.0, 60.0)
    assert scaler.wanted(books, 60.0) == 3


def test_a_spare_replica_is_wanted_before_any_deadline_is_missed() -> None:
    scaler, books = Scaler(1, 20, spare=1), fleet(2)
    play(scaler, books, 30.0, 0.0, 20.0)
    assert scaler.wanted(books, 20.0) == 3
    without, books = Scaler(1, 20, spare=0), fleet(2)
    play(without, books, 30.0, 0.0, 20.0)
    assert without.wanted(books, 20.0) == 2


def test_calls_that_no_fleet_can_serve_in_time_ask_for_nothing() -> None:
    scaler, books = Scaler(1, 20, spare=0), fleet(2)
    for number in range(100):
        call = completion(number, prompt=12_000, arrival=number / 10)
        scaler.routed(call, books[0], books, number / 10)
    assert scaler.wanted(books, 10.0) == 2


def test_bounds_hold() -> None:
    scaler, books = Scaler(2, 3, spare=0, load_seconds=1.0), fleet(2)
    play(scaler, books, 100.0, 0.0, 3.0)
    assert scaler.wanted(books, 3.0) == 3
    assert scaler.wanted([], 3.0) == 2
    assert Scaler(2, 3).wanted(fleet(2), 1e6) == 2
