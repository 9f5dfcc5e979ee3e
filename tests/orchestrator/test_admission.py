"""Admission: yes, yes but later, or no, with a reason."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.orchestrator.admission import Verdict, admit
from cato_lsp.scheduling.promise import TaskKind


@dataclass(frozen=True)
class Ahead:
    kind: TaskKind
    remaining: float


TRANSLATION = TaskKind.TRANSLATION


def test_what_can_be_kept_is_admitted_without_a_word() -> None:
    admission = admit(10.0, 45.0, [Ahead(TRANSLATION, 20.0)])
    assert admission.verdict is Verdict.YES
    assert admission.reason == ""


def test_later_names_what_is_ahead_and_how_long_it_will_take() -> None:
    admission = admit(10.0, 35.0, [Ahead(TRANSLATION, 20.0)] * 3)
    assert admission.verdict is Verdict.LATER
    assert admission.reason == "3 translations are ahead; expected 40 s."


def test_one_task_ahead_is_named_in_the_singular() -> None:
    admission = admit(1.0, 5.0, [Ahead(TaskKind.SUMMARIZATION, 30.0)])
    assert admission.reason == "1 summary is ahead; expected 16 s."


def test_different_kinds_ahead_are_all_named() -> None:
    ahead = [Ahead(TaskKind.SUMMARIZATION, 30.0), Ahead(TRANSLATION, 5.0), Ahead(TRANSLATION, 5.0)]
    assert admit(1.0, 5.0, ahead).reason == "1 summary and 2 translations are ahead; expected 21 s."


def test_no_says_what_a_person_can_do() -> None:
    alone = admit(1000.0, 6.0, [])
    assert alone.verdict is Verdict.NO
    assert alone.reason == (
        "This is a long piece of work for this machine: expected 17 min. "
        "Select a smaller part, or raise the setting `sla`."
    )
    behind = admit(1.0, 6.0, [Ahead(TRANSLATION, 300.0)])
    assert behind.reason.endswith("Try again when they are done.")


@given(own=st.floats(0, 1e4), promised=st.floats(0.1, 1e3), ahead=st.lists(st.floats(0, 1e4), max_size=20))
def test_more_work_ahead_never_makes_the_verdict_better(own: float, promised: float, ahead: list[float]) -> None:
    order = [Verdict.YES, Verdict.LATER, Verdict.NO]
    tasks = [Ahead(TRANSLATION, seconds) for seconds in ahead]
    without = admit(own, promised, tasks[:-1])
    assert order.index(admit(own, promised, tasks).verdict) >= order.index(without.verdict)
