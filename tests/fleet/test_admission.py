"""Which calls are sent, held back and refused."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.fleet.admission import Verdict, admit
from cato_lsp.fleet.books import ReplicaBook
from tests.fleet.calls import COSTS, book, completion, prefill, summary


def busy(name: str, calls: int, prompt: int = 1000) -> ReplicaBook:
    made = book(name)
    for number in range(calls):
        made.sent(completion(1000 + number, prompt=prompt), 0.0)
    return made


@given(st.integers(1, 3), st.integers(1, 4000))
def test_what_an_idle_replica_meets_is_sent_there(count: int, prompt: int) -> None:
    books = [busy(str(number), 40) for number in range(count)] + [book("idle")]
    assert admit(completion(0, prompt=prompt), books[-1], books, 0.0) is Verdict.SEND


def test_a_call_that_every_queue_makes_late_is_held_back_until_one_is_short_enough() -> None:
    books = [busy("a", 12), busy("b", 12)]
    call = completion(0, prompt=4000)
    assert admit(call, books[0], books, 0.0) is Verdict.DEFER
    for number in range(12):
        books[1].heard(str(1000 + number), 1, 0.02, COSTS)
    assert admit(call, books[1], books, 0.02) is Verdict.SEND


def test_a_call_that_is_late_even_alone_is_sent_unless_the_wait_is_long() -> None:
    call = completion(0, prompt=8000, ttft=0.05)
    few, many = [busy("a", 12)], [busy("a", 60), busy("b", 60)]
    assert admit(call, few[0], few, 0.0) is Verdict.SEND
    assert admit(call, many[0], many, 0.0) is Verdict.REFUSE
    assert admit(call, many[0], [*many, book("idle")], 0.0) is Verdict.SEND, "late answers cost nobody there"


def test_background_work_and_long_tasks_wait_on_the_replica() -> None:
    books = [busy("a", 60)]
    assert admit(prefill(0), books[0], books, 0.0) is Verdict.SEND
    assert admit(summary(1, seconds=60.0), books[0], books, 0.0) is Verdict.SEND
    tight = replace(summary(2), slo=replace(summary(2).slo, deadline=3.0))
    assert admit(tight, books[0], books, 0.0) is not Verdict.REFUSE
