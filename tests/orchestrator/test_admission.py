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
class FakeTask:
    kind: TaskKind
    load: float
    client: str = "mine"


def asked(seconds: float, allowed: float, *running: FakeTask) -> Admission:
    """A task of so many seconds, of the client ``mine``."""
    return admit("mine", seconds, seconds, allowed, running)


def test_a_task_that_meets_its_deadline_is_admitted_without_a_note() -> None:
    admission = asked(10.0, 45.0, FakeTask(TRANSLATION, 20.0))
    assert admission.verdict is Verdict.YES
    assert admission.reason == ""


def test_a_postponed_task_names_the_running_tasks_and_the_expected_time() -> None:
    admission = asked(10.0, 35.0, *[FakeTask(TRANSLATION, 10.0)] * 3)
    assert admission.verdict is Verdict.LATER
    assert admission.reason == "3 translations are ahead; expected 40 s."


def test_one_running_task_is_named_in_the_singular() -> None:
    assert asked(1.0, 5.0, FakeTask(SUMMARY, 15.0)).reason == "1 summary is ahead; expected 16 s."


def test_all_kinds_of_running_tasks_are_named() -> None:
    running = [FakeTask(SUMMARY, 10.0), FakeTask(TRANSLATION, 5.0), FakeTask(TRANSLATION, 5.0)]
    assert asked(1.0, 5.0, *running).reason == "1 summary and 2 translations are ahead; expected 21 s."


def test_a_refusal_tells_the_user_what_to_do() -> None:
    alone = asked(1000.0, 6.0)
    assert alone.verdict is Verdict.NO
    assert alone.reason == (
        "This takes long on this machine: expected 17 min. Select a smaller part, or raise the setting `sla`."
    )
    assert asked(1.0, 6.0, FakeTask(TRANSLATION, 300.0)).reason.endswith("Try again when they are done.")


def test_fifty_translations_of_one_window_do_not_lock_out_another() -> None:
    fifty = [FakeTask(TRANSLATION, 20.0, "greedy")] * 50
    assert overfull("mine", fifty) == ""
    assert asked(10.0, 45.0, *fifty).verdict is Verdict.YES
    assert asked(10.0, 45.0, *fifty).expected == 20.0
    assert admit("greedy", 10.0, 10.0, 45.0, fifty).verdict is Verdict.NO


def test_the_tasks_of_one_window_are_limited() -> None:
    running = [FakeTask(TRANSLATION, 1.0, "greedy")] * (MOST_OF_ONE - 1)
    assert overfull("greedy", running) == ""
    running.append(FakeTask(SUMMARY, 1.0, "greedy"))
    told = "1 summary and 15 translations are running for this window already. Try again when one of them is done."
    assert overfull("greedy", running) == told
    assert overfull("mine", running) == ""


def test_the_tasks_of_all_windows_are_limited() -> None:
    running = [FakeTask(SUMMARY, 1.0, f"window {number}") for number in range(MOST)]
    assert overfull("mine", running) == "64 summaries are running already. Try again when one of them is done."
    assert overfull("mine", running[1:]) == ""


@given(own=loads, allowed=st.floats(0.1, 1e3), running=st.lists(st.tuples(loads, st.sampled_from("ab"))))
def test_more_running_tasks_never_improve_the_verdict(
    own: float, allowed: float, running: list[tuple[float, str]]
) -> None:
    tasks = [FakeTask(TRANSLATION, load, client) for load, client in running]
    verdicts = [admit("a", own, own, allowed, some).verdict for some in (tasks[:-1], tasks)]
    assert ORDER.index(verdicts[1]) >= ORDER.index(verdicts[0])


@given(own=loads, others=st.lists(loads, max_size=30))
def test_another_window_delays_a_task_by_at_most_its_own_load(own: float, others: list[float]) -> None:
    running = [FakeTask(TRANSLATION, load, "greedy") for load in others]
    assert admit("mine", own, own, 45.0, running).expected <= 2 * own
