"""Admission: yes, yes but later, or no, with a reason."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.orchestrator.admission import MOST, MOST_OF_ONE, Admission, Verdict, admit, overfull
from cato_lsp.scheduling.slo import TaskKind

SUMMARY, TRANSLATION = TaskKind.SUMMARIZATION, TaskKind.TRANSLATION
ORDER = [Verdict.YES, Verdict.LATER, Verdict.NO]
loads = st.floats(0, 1e4)


@dataclass(frozen=True)
class Ahead:
    kind: TaskKind
    load: float
    client: str = "mine"


def asked(seconds: float, promised: float, *ahead: Ahead) -> Admission:
    """A task of so many seconds, of the client ``mine``."""
    return admit("mine", seconds, seconds, promised, ahead)


def test_what_can_be_kept_is_admitted_without_a_word() -> None:
    admission = asked(10.0, 45.0, Ahead(TRANSLATION, 20.0))
    assert admission.verdict is Verdict.YES
    assert admission.reason == ""


def test_later_names_what_is_ahead_and_how_long_it_will_take() -> None:
    admission = asked(10.0, 35.0, *[Ahead(TRANSLATION, 10.0)] * 3)
    assert admission.verdict is Verdict.LATER
    assert admission.reason == "3 translations are ahead; expected 40 s."


def test_one_task_ahead_is_named_in_the_singular() -> None:
    assert asked(1.0, 5.0, Ahead(SUMMARY, 15.0)).reason == "1 summary is ahead; expected 16 s."


def test_different_kinds_ahead_are_all_named() -> None:
    ahead = [Ahead(SUMMARY, 10.0), Ahead(TRANSLATION, 5.0), Ahead(TRANSLATION, 5.0)]
    assert asked(1.0, 5.0, *ahead).reason == "1 summary and 2 translations are ahead; expected 21 s."


def test_no_says_what_a_person_can_do() -> None:
    alone = asked(1000.0, 6.0)
    assert alone.verdict is Verdict.NO
    assert alone.reason == (
        "This takes long on this machine: expected 17 min. Select a smaller part, or raise the setting `sla`."
    )
    assert asked(1.0, 6.0, Ahead(TRANSLATION, 300.0)).reason.endswith("Try again when they are done.")


def test_fifty_translations_of_one_window_do_not_lock_out_another() -> None:
    fifty = [Ahead(TRANSLATION, 20.0, "greedy")] * 50
    assert overfull("mine", fifty) == ""
    assert asked(10.0, 45.0, *fifty).verdict is Verdict.YES
    assert asked(10.0, 45.0, *fifty).expected == 20.0
    assert admit("greedy", 10.0, 10.0, 45.0, fifty).verdict is Verdict.NO


def test_a_window_may_have_only_so_many_tasks_at_once() -> None:
    running = [Ahead(TRANSLATION, 1.0, "greedy")] * (MOST_OF_ONE - 1)
    assert overfull("greedy", running) == ""
    running.append(Ahead(SUMMARY, 1.0, "greedy"))
    told = "1 summary and 15 translations are running for this window already. Try again when one of them is done."
    assert overfull("greedy", running) == told
    assert overfull("mine", running) == ""


def test_all_windows_together_may_have_only_so_many_tasks_at_once() -> None:
    running = [Ahead(SUMMARY, 1.0, f"window {number}") for number in range(MOST)]
    assert overfull("mine", running) == "64 summaries are running already. Try again when one of them is done."
    assert overfull("mine", running[1:]) == ""


@given(own=loads, promised=st.floats(0.1, 1e3), ahead=st.lists(st.tuples(loads, st.sampled_from("ab"))))
def test_more_work_ahead_never_makes_the_verdict_better(
    own: float, promised: float, ahead: list[tuple[float, str]]
) -> None:
    tasks = [Ahead(TRANSLATION, load, client) for load, client in ahead]
    verdicts = [admit("a", own, own, promised, some).verdict for some in (tasks[:-1], tasks)]
    assert ORDER.index(verdicts[1]) >= ORDER.index(verdicts[0])


@given(own=loads, others=st.lists(loads, max_size=30))
def test_another_window_holds_a_task_up_for_no_longer_than_it_takes_itself(own: float, others: list[float]) -> None:
    ahead = [Ahead(TRANSLATION, load, "greedy") for load in others]
    assert admit("mine", own, own, 45.0, ahead).expected <= 2 * own
