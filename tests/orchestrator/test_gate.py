"""Suggestions that the model is unsure of are held back while typing, and their calls ended early."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import cast

import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.config import CompletionSettings, Settings
from cato_lsp.engine.api import Call, Delta
from cato_lsp.lsp.backend import Backend
from cato_lsp.orchestrator.completion import CompletionRunner
from cato_lsp.orchestrator.live import LiveTasks
from cato_lsp.orchestrator.record import Outcome, TaskLog
from cato_lsp.orchestrator.summary import summarize_tasks
from cato_lsp.tasks.completion import Completion, CompletionPrompter, CompletionRequest
from cato_lsp.tasks.confidence import FIRST_TOKENS, Confidence
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


def at_least(confidence: float) -> Settings:
    return Settings(completion=CompletionSettings(least_confidence=confidence, candidates=1))


async def test_an_unsure_answer_is_held_back_and_its_call_ended_early(prompter: CompletionPrompter) -> None:
    engine = UnsureEngine([0.9, 0.1, 0.1])
    editor = Editor(prompter, engine)
    assert await editor.ask(at_least(0.3)) == []
    assert engine.read == FIRST_TOKENS
    (record,) = editor.log
    assert (record.outcome, record.held_back) == (Outcome.EMPTY, True)
    assert summarize_tasks(editor.log)["completion"].held_back == 1


async def test_a_sure_answer_is_shown_though_its_end_is_unsure(prompter: CompletionPrompter) -> None:
    engine = UnsureEngine([0.9] * FIRST_TOKENS + [0.01])
    editor = Editor(prompter, engine)
    assert len(await editor.ask(at_least(0.3))) == 1
    assert engine.read == 20
    assert [record.held_back for record in editor.log] == [False]


@pytest.mark.parametrize(("confidence", "invoked"), [(0.0, False), (0.9, True)], ids=["switched off", "asked for"])
async def test_nothing_is_held_back(prompter: CompletionPrompter, confidence: float, invoked: bool) -> None:
    engine = UnsureEngine([0.1])
    assert len(await Editor(prompter, engine).ask(at_least(confidence), invoked=invoked)) == 1
    assert not engine.calls[0].scored


@given(st.lists(st.tuples(st.integers(1, 3), st.floats(-9, 0)), max_size=12))
def test_confidence_is_a_mean_probability_that_settles(deltas: list[tuple[int, float]]) -> None:
    confidence = Confidence()
    for tokens, log_probability in deltas:
        before, settled = confidence.value, confidence.settled
        confidence.add(tokens, log_probability)
        assert 0 <= confidence.value <= 1
        assert not settled or confidence.value == before
    assert Confidence().value == 1


async def test_the_engine_tells_how_likely_its_tokens_are_only_if_asked(backend: Backend) -> None:
    call = make_call(60, max_tokens=6, first=411)
    told: list[list[Delta]] = []
    for scored in (True, False):
        async with backend.host.engine.submit(replace(call, scored=scored)) as stream:
            told.append([delta async for delta in stream])
    assert "".join(delta.text for delta in told[0]) == "".join(delta.text for delta in told[1])
    assert all(delta.log_probability < 0 for delta in told[0] if delta.tokens)
    assert all(delta.log_probability == 0 for delta in told[1])
