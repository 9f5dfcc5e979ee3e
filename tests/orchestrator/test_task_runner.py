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


class Setup:
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
def setup(model_folder: Path) -> Setup:
    return Setup(PlainPrompter(read_model_format(model_folder).tokenizer, 4096))


async def test_the_same_task_again_supersedes_the_first(setup: Setup) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(setup.translate, "a")
        await setup.until(lambda: setup.engine.running == 2)
        group.start_soon(setup.translate, "a")
        await setup.until(lambda: setup.ended == ["superseded"] and setup.engine.running == 2)
        assert len(setup.runner.running) == 1
        group.cancel_scope.cancel()
    setup.assert_all_is_free()
    assert [record.outcome for record in setup.log] == [Outcome.SUPERSEDED, Outcome.CANCELLED]


async def test_a_cancelled_task_frees_its_calls(setup: Setup) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(setup.translate, "a")
        await setup.until(lambda: setup.engine.running == 2)
        group.cancel_scope.cancel()
    setup.assert_all_is_free()


async def test_closing_a_document_ends_its_tasks_only(setup: Setup) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(setup.translate, "a", 0, "file:///closed")
        group.start_soon(setup.translate, "a", 0, "file:///open")
        await setup.until(lambda: setup.engine.running == 4)
        setup.live.end_document("a", "file:///closed")
        await setup.until(lambda: setup.ended == ["cancelled"])
        assert setup.engine.running == 2
        group.cancel_scope.cancel()
    setup.assert_all_is_free()


async def test_a_disconnect_ends_the_tasks_of_that_client_only(setup: Setup) -> None:
    async with anyio.create_task_group() as group:
        for place in range(3):
            group.start_soon(setup.translate, "gone", place)
        group.start_soon(setup.translate, "here")
        await setup.until(lambda: setup.engine.running == 8)
        setup.live.end_client("gone")
        await setup.until(lambda: setup.ended == ["cancelled"] * 3)
        assert setup.engine.running == 2
        assert [task.client for task in setup.runner.running] == ["here"]
        group.cancel_scope.cancel()
    setup.assert_all_is_free()


async def test_a_window_at_its_limit_is_refused_and_another_is_not_twinny_56(
    setup: Setup,
) -> None:
    async with anyio.create_task_group() as group:
        for place in range(MOST_OF_ONE):
            group.start_soon(setup.translate, "greedy", place)
        await setup.until(lambda: setup.engine.running == 2 * MOST_OF_ONE)
        calls = len(setup.engine.calls)
        await setup.translate("greedy", MOST_OF_ONE)
        assert setup.ended == [
            "16 translations are running for this window already. Try again when one of them is done."
        ]
        assert len(setup.engine.calls) == calls
        group.start_soon(setup.translate, "modest")
        await setup.until(lambda: len(setup.runner.running) == MOST_OF_ONE + 1)
        group.cancel_scope.cancel()
    setup.assert_all_is_free()
    assert Outcome.REFUSED in [record.outcome for record in setup.log]


async def test_a_task_admitted_for_later_gets_a_note_and_a_later_deadline(setup: Setup) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(setup.translate, "a", 0, "file:///a", 2000)
        await setup.until(lambda: setup.engine.running == 2)
        before = len(setup.engine.calls)
        group.start_soon(setup.translate, "a", 1)
        await setup.until(lambda: len(setup.engine.calls) > before)
        slo = setup.engine.calls[-1].slo
        group.cancel_scope.cancel()
    assert slo.deadline > slo.arrival + 45.0
    said = [note for note in setup.notes if note != "one thing to know"]
    assert said[-1].startswith("1 translation is ahead; expected ")


async def test_a_finished_task_leaves_a_record_of_sizes_and_times(setup: Setup) -> None:
    setup.engine.answer = lambda _call: "one two three"
    await setup.translate("a")
    assert setup.ended == ["done"]
    assert setup.notes == ["one thing to know"]
    (record,) = setup.log
    assert (record.outcome, record.met) == (Outcome.ANSWERED, True)
    assert (len(record.calls), record.prompt_tokens, record.answer_tokens) == (2, 6, 6)
    assert record.deadline == pytest.approx(45.0 + 6 * 0.02)
    setup.assert_all_is_free()
