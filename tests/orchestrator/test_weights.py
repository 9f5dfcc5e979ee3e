"""The setting `sla.weights` reaches the scheduler with each call."""

from __future__ import annotations

from pathlib import Path

import pytest

from cato_lsp.config import CompletionSettings, Settings, SlaSettings, SlaWeights
from cato_lsp.orchestrator.completion import CompletionRunner
from cato_lsp.orchestrator.live import LiveTasks
from cato_lsp.orchestrator.record import TaskLog
from cato_lsp.orchestrator.task_calls import TaskObserver
from cato_lsp.orchestrator.task_runner import TaskRunner
from cato_lsp.scheduling.slo import TaskKind
from cato_lsp.tasks.calls import CallEstimate, Calls, ModelCall
from cato_lsp.tasks.completion import CompletionPrompter, CompletionRequest
from cato_lsp.tasks.families import PLAIN
from cato_lsp.tasks.model_format import read_model_format
from cato_lsp.tasks.prompts import PlainPrompter, Prompt
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.task import TaskRequest, TaskResult
from cato_lsp.tasks.tokenizer import Tokenizer
from cato_lsp.tasks.typethrough import TypeThroughCache
from tests.orchestrator.scripted import Clock, ScriptedEngine, host_of, prompt_source
from tests.tasks.conftest import train_byte_level

pytestmark = pytest.mark.anyio

SLA = SlaSettings(weights=SlaWeights(summarization=5.0))


class OneCall:
    """A task of one call."""

    note = ""
    _call = ModelCall(Prompt((1, 2, 3)), max_tokens=8, expected_tokens=4)

    def estimate(self) -> list[CallEstimate]:
        return [self._call.estimate]

    async def run(self, calls: Calls) -> TaskResult:
        await calls.map([self._call])
        return TaskResult("done")


@pytest.mark.parametrize(("kind", "weight"), [(TaskKind.SUMMARIZATION, 1.0), (TaskKind.GENERATION, 0.2)])
async def test_the_calls_of_a_task_carry_the_weight_of_its_kind(
    kind: TaskKind, weight: float, model_folder: Path
) -> None:
    engine = ScriptedEngine(Clock(), lambda _call: "answer")
    prompter = PlainPrompter(read_model_format(model_folder).tokenizer, 4096)
    runner = TaskRunner(*host_of(engine, prompter), LiveTasks(), TaskLog(), engine.clock)
    request = TaskRequest(kind, "file:///a", 0, lambda _: OneCall())
    await runner.run_task("me", request, SLA, TaskObserver())
    assert [call.slo.weight for call in engine.calls] == [weight]


async def test_a_completion_carries_the_weight_of_its_kind() -> None:
    engine = ScriptedEngine(Clock(), lambda _call: "1")
    prompter = CompletionPrompter(Tokenizer(train_byte_level([]).to_str()), PLAIN)
    runner = CompletionRunner(prompt_source(engine, prompter), LiveTasks(), TaskLog(), engine.clock)
    settings = Settings(sla=SLA, completion=CompletionSettings(min_probability=0.0))
    request = CompletionRequest(Snapshot("file:///a.py", "python", None, "x = "), 4, invoked=False)
    await runner.complete("me", request, settings, TypeThroughCache())
    assert [call.slo.weight for call in engine.calls] == [0.2]
