"""While typing, a suggestion is cut where the model becomes unsure, and its call ended there."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import cast

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.config import CompletionSettings, Settings
from cato_lsp.engine.api import Call, Delta
from cato_lsp.lsp.backend import Backend
from cato_lsp.orchestrator.background import Background, PrefetchJob
from cato_lsp.orchestrator.completion import CompletionRunner
from cato_lsp.orchestrator.live import LiveTasks
from cato_lsp.orchestrator.record import Outcome, TaskLog
from cato_lsp.orchestrator.summary import summarize_tasks
from cato_lsp.tasks.completion import Completion, CompletionPrompter, CompletionRequest
from cato_lsp.tasks.confidence import Confidence
from cato_lsp.tasks.families import PLAIN
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer
from cato_lsp.tasks.typethrough import TypeThroughCache
from tests.conftest import make_call
from tests.orchestrator.scripted import Clock, ScriptedEngine, ScriptedStream, prompt_source
from tests.tasks.conftest import train_byte_level

pytestmark = pytest.mark.anyio


class UnsureEngine(ScriptedEngine):
    """Gives its tokens these probabilities, the last for all that follow; counts the tokens that were read."""

    def __init__(self, probabilities: Sequence[float]) -> None:
        super().__init__(Clock(), lambda _call: "")
        self.probabilities = probabilities
        self.read = 0

    def submit(self, call: Call) -> ScriptedStream:
        super().submit(call)
        return _Unsure(self, call, len(self.calls) - 1)


class _Unsure(ScriptedStream):
    async def __aiter__(self) -> AsyncIterator[Delta]:
        engine = cast("UnsureEngine", self._engine)
        for number in range(20):
            await anyio.lowlevel.checkpoint()
            engine.read += 1
            likely = engine.probabilities[min(number, len(engine.probabilities) - 1)]
            yield Delta(f" + {number}", 1, "stop" if number == 19 else None, log_probability=math.log(likely))


@pytest.fixture(scope="module")
def prompter() -> CompletionPrompter:
    return CompletionPrompter(Tokenizer(train_byte_level([]).to_str()), PLAIN)


class Editor:
    """One document at a runner."""

    def __init__(self, prompter: CompletionPrompter, engine: UnsureEngine) -> None:
        self.log = TaskLog()
        self._runner = CompletionRunner(prompt_source(engine, prompter), LiveTasks(), self.log, engine.clock)

    async def ask(self, settings: Settings, *, invoked: bool = False) -> list[Completion]:
        request = CompletionRequest(Snapshot("file:///a.py", "python", None, "x = 1"), 5, invoked)
        return await self._runner.complete("me", request, settings, TypeThroughCache())


def at_least(probability: float) -> Settings:
    return Settings(completion=CompletionSettings(min_probability=probability, candidates=1))


async def test_an_unlikely_answer_is_held_back_and_its_call_ended_at_once(prompter: CompletionPrompter) -> None:
    engine = UnsureEngine([0.1])
    editor = Editor(prompter, engine)
    assert await editor.ask(at_least(0.3)) == []
    assert engine.read == 1
    assert engine.calls[0].scored
    (record,) = editor.log
    assert (record.outcome, record.held_back) == (Outcome.EMPTY, True)
    assert summarize_tasks(editor.log)["completion"].held_back == 1


async def test_an_answer_is_cut_where_its_joint_probability_falls_too_low(prompter: CompletionPrompter) -> None:
    engine = UnsureEngine([0.9] * 8 + [0.1])
    editor = Editor(prompter, engine)
    (shown,) = await editor.ask(at_least(0.3))
    assert shown.text.endswith(" + 0 + 1 + 2 + 3 + 4 + 5 + 6 + 7")
    assert engine.read == 9
    assert [record.held_back for record in editor.log] == [False]


async def test_tokens_that_are_each_likely_become_unlikely_together(prompter: CompletionPrompter) -> None:
    engine = UnsureEngine([0.8])
    (shown,) = await Editor(prompter, engine).ask(at_least(0.5))
    assert shown.text.endswith(" + 0 + 1 + 2")  # 0.8 ** 3 = 0.512
    assert engine.read == 4


@pytest.mark.parametrize(("probability", "invoked"), [(0.0, False), (0.9, True)], ids=["switched off", "asked for"])
async def test_nothing_is_cut(prompter: CompletionPrompter, probability: float, invoked: bool) -> None:
    engine = UnsureEngine([0.1])
    (shown,) = await Editor(prompter, engine).ask(at_least(probability), invoked=invoked)
    assert shown.text.endswith(" + 19")
    assert not engine.calls[0].scored


@pytest.mark.parametrize(("candidates", "invoked", "calls"), [(1, True, 1), (2, True, 2), (2, False, 1)])
async def test_as_many_completions_are_computed_as_the_user_who_asks_for_them_has_set(
    prompter: CompletionPrompter, candidates: int, invoked: bool, calls: int
) -> None:
    engine = UnsureEngine([0.9])
    settings = Settings(completion=CompletionSettings(min_probability=0, candidates=candidates))
    await Editor(prompter, engine).ask(settings, invoked=invoked)
    assert len(engine.calls) == calls


@pytest.mark.parametrize(("probability", "known"), [(0.9, True), (0.1, False)])
async def test_an_unlikely_completion_is_not_kept_for_the_request_that_is_expected(
    prompter: CompletionPrompter, probability: float, known: bool
) -> None:
    engine, cache = UnsureEngine([probability, 0.01]), TypeThroughCache()
    background = Background(prompt_source(engine, prompter), engine.clock, anyio.lowlevel.checkpoint)
    request = CompletionRequest(Snapshot("file:///a.py", "python", None, "x = 1"), 5)
    background.put(PrefetchJob("me", request, at_least(0.3), cache))
    async with anyio.create_task_group() as group:
        group.start_soon(background.run)
        while not background.done:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert engine.calls[0].scored
    assert (cache.complete(request) is not None) is known


@given(st.lists(st.floats(-9, 0), max_size=12), st.floats(0, 1))
def test_confidence_is_a_joint_probability_that_only_falls(deltas: list[float], least: float) -> None:
    confidence = Confidence(least)
    likely = [confidence.add(log_probability) for log_probability in deltas]
    assert likely == sorted(likely, reverse=True)
    assert confidence.log_probability == pytest.approx(sum(deltas))
    assert least > 0 or all(likely)


async def test_the_engine_returns_probabilities_only_on_request(backend: Backend) -> None:
    call = make_call(60, max_tokens=6, first=411)
    told: list[list[Delta]] = []
    for scored in (True, False):
        async with backend.host.engine.submit(replace(call, scored=scored)) as stream:
            told.append([delta async for delta in stream])
    assert "".join(delta.text for delta in told[0]) == "".join(delta.text for delta in told[1])
    assert all(delta.log_probability < 0 for delta in told[0] if delta.tokens)
    assert all(delta.log_probability == 0 for delta in told[1])
