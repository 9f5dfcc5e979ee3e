"""Tasks of several calls from admission to record, on an engine in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from cato_lsp.config import SlaSettings
from cato_lsp.orchestrator.admission import MOST_OF_ONE
from cato_lsp.orchestrator.live import LiveTasks
from cato_lsp.orchestrator.record import Outcome, TaskLog
from cato_lsp.orchestrator.task_calls import TaskObserver
from cato_lsp.orchestrator.task_runner import EndedError, RefusedError, TaskRunner
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import TaskKind
from cato_lsp.tasks.calls import CallEstimate, Calls, ModelCall
from cato_lsp.tasks.model_format import read_model_format
from cato_lsp.tasks.prompts import PlainPrompter, Prompt, Prompter
from cato_lsp.tasks.task import TaskRequest, TaskResult
from tests.orchestrator.scripted import Clock, ScriptedEngine, host_of

pytestmark = pytest.mark.anyio

ENDLESS = "x " * 100_000


class TwoCalls:
    """A task of two calls at the same time."""

    note = "one thing to know"

    def __init__(self, tokens: int) -> None:
        self._call = ModelCall(Prompt((1, 2, 3)), max_tokens=200_000, expected_tokens=tokens)

    def estimate(self) -> list[CallEstimate]:
        return [self._call.estimate, self._call.estimate]

    async def run(self, calls: Calls) -> TaskResult:
        await calls.map([self._call, self._call])
        return TaskResult("done")


class Office:
    """A runner on an engine whose answers do not end, with the tasks that were begun."""

    def __init__(self, prompter: Prompter, words: str = ENDLESS) -> None:
        self.clock = Clock()
        self.engine = ScriptedEngine(self.clock, lambda _call: words.strip())
        self.engine.costs = StepCosts(fixed=0.02, per_sequence=0.05)
        self.live = LiveTasks()
        self.log = TaskLog()
        self.runner = TaskRunner(*host_of(self.engine, prompter), self.live, self.log, self.clock)
        self.ended: list[str] = []
        self.notes: list[str] = []

    async def translate(self, client: str, place: int = 0, uri: str = "file:///a", tokens: int = 10) -> None:
        """Run a translation of two calls side by side; how it ended is noted."""
        request = TaskRequest(TaskKind.TRANSLATION, uri, place, lambda _: TwoCalls(tokens))
        observer = TaskObserver(note=self.notes.append)
        try:
            result = await self.runner.run_task(client, request, SlaSettings(), observer)
            assert result is not None
            self.ended.append(str(result.content))
        except (RefusedError, EndedError) as error:
            self.ended.append(str(error))

    async def until(self, reached: Callable[[], bool]) -> None:
        with anyio.fail_after(20):
            while not reached():
                await anyio.lowlevel.checkpoint()

    def assert_all_is_free(self) -> None:
        """No call runs, and nothing is counted as ahead of the next task."""
        assert self.engine.running == 0
        assert len(self.live) == 0
        assert not self.runner.running


@pytest.fixture
def office(model_folder: Path) -> Office:
    return Office(PlainPrompter(read_model_format(model_folder).tokenizer, 4096))


async def test_asking_for_the_same_again_frees_what_the_former_had(office: Office) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(office.translate, "a")
        await office.until(lambda: office.engine.running == 2)
        group.start_soon(office.translate, "a")
        await office.until(lambda: office.ended == ["superseded"] and office.engine.running == 2)
        assert len(office.runner.running) == 1
        group.cancel_scope.cancel()
    office.assert_all_is_free()
    assert [record.outcome for record in office.log] == [Outcome.SUPERSEDED, Outcome.CANCELLED]


async def test_a_cancel_frees_everything_at_once(office: Office) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(office.translate, "a")
        await office.until(lambda: office.engine.running == 2)
        group.cancel_scope.cancel()
    office.assert_all_is_free()


async def test_closing_the_document_frees_what_ran_for_it_and_nothing_else(office: Office) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(office.translate, "a", 0, "file:///closed")
        group.start_soon(office.translate, "a", 0, "file:///open")
        await office.until(lambda: office.engine.running == 4)
        office.live.end_document("a", "file:///closed")
        await office.until(lambda: office.ended == ["cancelled"])
        assert office.engine.running == 2
        group.cancel_scope.cancel()
    office.assert_all_is_free()


async def test_a_disconnect_frees_all_that_the_client_had_and_nothing_of_others(office: Office) -> None:
    async with anyio.create_task_group() as group:
        for place in range(3):
            group.start_soon(office.translate, "gone", place)
        group.start_soon(office.translate, "here")
        await office.until(lambda: office.engine.running == 8)
        office.live.end_client("gone")
        await office.until(lambda: office.ended == ["cancelled"] * 3)
        assert office.engine.running == 2
        assert [task.client for task in office.runner.running] == ["here"]
        group.cancel_scope.cancel()
    office.assert_all_is_free()


async def test_a_window_full_of_translations_is_refused_the_next_and_another_window_is_not_twinny_56(
    office: Office,
) -> None:
    async with anyio.create_task_group() as group:
        for place in range(MOST_OF_ONE):
            group.start_soon(office.translate, "greedy", place)
        await office.until(lambda: len(office.runner.running) == MOST_OF_ONE)
        calls = len(office.engine.calls)
        await office.translate("greedy", MOST_OF_ONE)
        assert office.ended == [
            "16 translations are running for this window already. Try again when one of them is done."
        ]
        assert len(office.engine.calls) == calls
        group.start_soon(office.translate, "modest")
        await office.until(lambda: len(office.runner.running) == MOST_OF_ONE + 1)
        group.cancel_scope.cancel()
    office.assert_all_is_free()
    assert Outcome.REFUSED in [record.outcome for record in office.log]


async def test_a_task_admitted_for_later_gets_a_note_and_a_later_deadline(office: Office) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(office.translate, "a", 0, "file:///a", 2000)
        await office.until(lambda: office.engine.running == 2)
        before = len(office.engine.calls)
        group.start_soon(office.translate, "a", 1)
        await office.until(lambda: len(office.engine.calls) > before)
        slo = office.engine.calls[-1].slo
        group.cancel_scope.cancel()
    assert slo.deadline > slo.arrival + 45.0
    said = [note for note in office.notes if note != "one thing to know"]
    assert said[-1].startswith("1 translation is ahead; expected ")


async def test_a_finished_task_leaves_a_record_of_sizes_and_times(office: Office) -> None:
    office.engine.answer = lambda _call: "one two three"
    await office.translate("a")
    assert office.ended == ["done"]
    assert office.notes == ["one thing to know"]
    (record,) = office.log
    assert (record.outcome, record.kept) == (Outcome.ANSWERED, True)
    assert (len(record.calls), record.prompt_tokens, record.answer_tokens) == (2, 6, 6)
    assert record.deadline == pytest.approx(45.0 + 6 * 0.02)
    office.assert_all_is_free()
