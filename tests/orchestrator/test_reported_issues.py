"""What users of other assistants complained about, as far as the orchestrator can cause it.

Each test names the issue it is about.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from cato_lsp.config import CompletionSettings, Settings
from cato_lsp.engine.api import Call, Delta
from cato_lsp.engine.host import EngineHost
from cato_lsp.orchestrator.completion import CompletionRunner
from cato_lsp.orchestrator.live import LiveTasks
from cato_lsp.orchestrator.orchestrator import Orchestrator
from cato_lsp.orchestrator.record import Outcome, TaskLog
from cato_lsp.tasks.completion import Completion, CompletionPrompter, CompletionRequest
from cato_lsp.tasks.families import PLAIN
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer
from cato_lsp.tasks.typethrough import TypeThroughCache
from tests.orchestrator.scripted import Clock, ScriptedEngine, ScriptedStream, prompt_source
from tests.tasks.conftest import train_byte_level

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def prompter() -> CompletionPrompter:
    return CompletionPrompter(Tokenizer(train_byte_level([]).to_str()), PLAIN)


class Editor:
    """One document at a `CompletionRunner` with an engine in virtual time."""

    def __init__(self, prompter: CompletionPrompter, engine: ScriptedEngine) -> None:
        self.log = TaskLog()
        self._runner = CompletionRunner(prompt_source(engine, prompter), LiveTasks(), self.log, engine.clock)
        self._cache = TypeThroughCache()

    async def ask(self, text: str, settings: Settings) -> list[Completion]:
        request = CompletionRequest(Snapshot("file:///a.py", "python", None, text), len(text))
        return await self._runner.complete("editor", request, settings, self._cache)


class EndlessEngine(ScriptedEngine):
    """Writes one argument after the other until it is stopped."""

    def submit(self, call: Call) -> ScriptedStream:
        super().submit(call)
        self.running -= 1
        return _Endless(self, call, len(self.calls) - 1)


class _Endless(ScriptedStream):
    async def __aiter__(self) -> AsyncIterator[Delta]:
        number = 0
        while True:
            await anyio.lowlevel.checkpoint()
            number += 1
            yield Delta(f" f({number}) +" if number < 9 else "", 1)


async def test_an_endless_answer_is_stopped_and_its_usable_part_shown_omlx_1294(
    prompter: CompletionPrompter,
) -> None:
    engine = EndlessEngine(Clock(), lambda _call: "")
    found = await Editor(prompter, engine).ask("x =", Settings(completion=CompletionSettings(answer_ms=20)))
    assert [completion.text for completion in found] == [" " + " + ".join(f"f({n})" for n in range(1, 9))]
    assert engine.running == 0


async def test_suggestions_can_be_debounced_vscode_copilot_release_1013_zed_23159_tabby_2902(
    prompter: CompletionPrompter, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(round(seconds, 3))
        await anyio.lowlevel.checkpoint()

    engine = ScriptedEngine(Clock(), lambda _call: " 1 + 2", seconds_per_token=0.1)
    editor = Editor(prompter, engine)
    monkeypatch.setattr(anyio, "sleep", sleep)
    await editor.ask("a =", Settings())
    assert waited == []  # nothing unless it is asked for
    patient = Settings(completion=CompletionSettings(debounce_ms=400))
    await editor.ask("b =", patient)
    assert waited == [0.3]  # less the time to the first token
    await editor.ask("c =", Settings(completion=CompletionSettings(debounce_ms=50)))
    assert waited == [0.3, 0.0]
    assert len(engine.calls) == 3


async def test_keystrokes_during_the_debounce_make_no_calls(
    prompter: CompletionPrompter, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = anyio.Event()

    async def sleep(_seconds: float) -> None:
        await pause.wait()

    engine = ScriptedEngine(Clock(), lambda _call: " 1")
    editor = Editor(prompter, engine)
    monkeypatch.setattr(anyio, "sleep", sleep)
    settings = Settings(completion=CompletionSettings(debounce_ms=400))
    found: list[Completion] = []

    async def ask(text: str) -> None:
        found.extend(await editor.ask(text, settings))

    async with anyio.create_task_group() as group:
        for text in ("v", "va", "val", "val ="):
            group.start_soon(ask, text)
            await anyio.wait_all_tasks_blocked()
        pause.set()
    assert len(engine.calls) == 1
    assert [completion.text for completion in found] == [" 1"]


async def test_requests_while_the_model_loads_are_answered_empty_tabby_3367() -> None:
    host = EngineHost()
    orchestrator = Orchestrator(host)
    before = host.status
    request = CompletionRequest(Snapshot("file:///a.py", "python", None, "x ="), 3)
    for _ in range(3):
        assert await orchestrator.complete("eager", request, Settings()) == []
    records = list(orchestrator.log)
    assert [record.outcome for record in records] == [Outcome.UNAVAILABLE] * 3
    assert [record.met for record in records] == [None] * 3  # a cold start misses no deadline
    assert host.status == before
    assert math.isfinite(records[0].e2e)
