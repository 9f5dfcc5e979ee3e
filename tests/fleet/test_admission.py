"""Which calls are refused."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.fleet.admission import refuses
from cato_lsp.fleet.books import ReplicaBook
from tests.fleet.calls import book, completion, prefill, summary


def busy(name: str, calls: int, prompt: int = 1000) -> ReplicaBook:
    made = book(name)
    for number in range(calls):
        made.sent(completion(1000 + number, prompt=prompt), 0.0)
    return made


@given(st.integers(1, 3), st.integers(1, 4000))
def test_what_an_idle_replica_meets_is_sent_there(count: int, prompt: int) -> None:
    books = [busy(str(number), 40) for number in range(count)] + [book("idle")]
    assert not refuses(completion(0, prompt=prompt), books[-1], books, 0.0)


def test_a_call_that_is_late_everywhere_is_sent_unless_the_wait_is_long() -> None:
    call = completion(0, prompt=8000, ttft=0.05)
    few, many = [busy("a", 12)], [busy("a", 60), busy("b", 60)]
    assert not refuses(call, few[0], few, 0.0)
    assert refuses(call, many[0], many, 0.0)
    assert not refuses(call, many[0], [*many, book("idle")], 0.0), "late answers cost nobody there"


def test_background_work_and_long_tasks_wait_on_the_replica() -> None:
    books = [busy("a", 60)]
    assert not refuses(prefill(0), books[0], books, 0.0)
    assert not refuses(summary(1, seconds=60.0), books[0], books, 0.0)
    tight = replace(summary(2), slo=replace(summary(2).slo, deadline=3.0))
    assert not refuses(tight, books[0], books, 0.0)
