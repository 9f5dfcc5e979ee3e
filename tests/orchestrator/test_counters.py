"""Local counters of what became of completions, and summaries of tasks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.engine.api import CallUsage
from cato_lsp.orchestrator.counters import KEPT_AFTER, AcceptCounters
from cato_lsp.orchestrator.record import Outcome, Source, TaskRecord
from cato_lsp.orchestrator.summary import percentile, summarize_tasks
from cato_lsp.scheduling.slo import TaskKind


def test_an_item_counts_once_however_often_it_is_reported() -> None:
    counters = AcceptCounters()
    number = counters.offer("return 1")
    for _ in range(3):
        counters.show(number)
        counters.accept(number)
    assert (counters.offered, counters.shown, counters.accepted, counters.accepted_characters) == (1, 1, 1, 8)


def test_accepting_word_by_word_counts_the_characters_once() -> None:
    counters = AcceptCounters()
    number = counters.offer("return one")
    counters.accept(number, 6)
    counters.accept(number, 4)
    counters.accept(number)
    assert (counters.accepted, counters.accepted_characters) == (1, 10)


def test_what_was_never_offered_is_not_counted() -> None:
    counters = AcceptCounters()
    counters.show(-1)
    counters.accept(-1)
    assert (counters.shown, counters.accepted) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-5, 50)), max_size=40))
def test_no_more_is_accepted_than_was_offered(events: list[tuple[int, int]]) -> None:
    counters = AcceptCounters()
    numbers = [counters.offer("x" * 10) for _ in range(10)]
    for which, characters in events:
        counters.accept(numbers[which], characters)
    assert counters.accepted <= counters.shown <= counters.offered
    assert counters.accepted_characters <= 10 * counters.accepted


def test_the_remaining_part_of_an_accepted_completion_is_measured_once() -> None:
    now = [0.0]
    counters = AcceptCounters(clock=lambda: now[0])
    number = counters.offer("first = 1\n    second = 2", "file:///a.py")
    counters.offer("never accepted", "file:///a.py")
    counters.accept(number)
    counters.look("file:///a.py", "")
    assert counters.judged_characters == 0  # too soon
    now[0] = KEPT_AFTER
    counters.look("file:///b.py", "")
    counters.look("file:///a.py", "def f():\n    first = 1\n    second = 3\n")
    counters.look("file:///a.py", "")
    assert (counters.judged_characters, counters.kept_characters) == (19, 9)


def test_only_the_accepted_part_is_measured() -> None:
    now = [0.0]
    counters = AcceptCounters(clock=lambda: now[0])
    counters.accept(counters.offer("return one", "file:///a.py"), 6)
    now[0] = KEPT_AFTER
    counters.look("file:///a.py", "return two")
    assert (counters.judged_characters, counters.kept_characters) == (6, 6)


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([], 50) is None
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 95) == 95.0


def test_a_summary_counts_deadlines_of_answered_tasks() -> None:
    def record(outcome: Outcome, ttft: float | None, source: Source = Source.MODEL) -> TaskRecord:
        usage = [CallUsage(tokens_computed=5, tokens_after_cancel=1)]
        return TaskRecord(
            TaskKind.COMPLETION, "c", 0.2, outcome=outcome, ttft=ttft, e2e=0.3, source=source, calls=usage
        )

    records = [
        record(Outcome.ANSWERED, 0.1),
        record(Outcome.ANSWERED, 0.25),
        record(Outcome.SUPERSEDED, None),
        record(Outcome.FAILED, None),
        record(Outcome.ANSWERED, 0.05, Source.STREAM),
    ]
    summary = summarize_tasks(records)["completion"]
    assert (summary.deadlines, summary.deadlines_met, summary.without_call) == (4, 2, 1)
    assert summary.outcomes == {"answered": 3, "superseded": 1, "failed": 1}
    assert summary.tokens_after_cancel == 5
    assert summary.ttft_p50 == 0.1


def test_a_task_is_with_the_engine_from_its_first_call_on() -> None:
    calls = [CallUsage(), CallUsage(added=3.0), CallUsage(added=2.0)]
    assert TaskRecord(TaskKind.TRANSLATION, "c", 1.0, calls=calls).usage.added == 2.0
    assert TaskRecord(TaskKind.TRANSLATION, "c", 1.0, calls=calls[:1]).usage.added is None


@pytest.mark.parametrize(("e2e_deadline", "met"), [(False, True), (True, False)])
def test_an_e2e_deadline_is_that_of_the_last_token(e2e_deadline: bool, met: bool) -> None:
    record = TaskRecord(TaskKind.TRANSLATION, "c", 1.0, e2e_deadline, Outcome.ANSWERED, ttft=0.5, e2e=2.0)
    assert record.met is met
