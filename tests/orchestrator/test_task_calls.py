"""Deadlines over whole sequences of calls, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cato_lsp.engine.api import EngineError
from cato_lsp.orchestrator.call_times import MOST_CALLS
from cato_lsp.orchestrator.record import TaskRecord
from cato_lsp.orchestrator.task_calls import TaskCalls
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.calls import ALTERNATIVES, CallEstimate, ModelCall, alternatives
from cato_lsp.tasks.prompts import Prompt
from tests.orchestrator.scripted import Clock, ScriptedEngine

pytestmark = pytest.mark.anyio

ANSWER = 10


COSTS = StepCosts(fixed=0.0, per_token=0.0, per_sequence=0.1, per_context=0.0, recent_step=0.0)
"""One second for a call of `ANSWER` tokens, whatever its prompt; calls at once take as long as one after the other."""


def call(expected: int = ANSWER) -> ModelCall:
    return ModelCall(Prompt((1, 2, 3)), max_tokens=64, expected_tokens=expected)


class Task:
    """A task with a promise ``seconds`` long on a fresh engine, whose answers have the length given."""

    def __init__(self, seconds: float, answered: int = ANSWER, service: ServiceClass = ServiceClass.E2E) -> None:
        self.clock = Clock()
        self.engine = ScriptedEngine(self.clock, lambda _call: " ".join("x" * answered))
        self.engine.costs = COSTS
        self.record = TaskRecord(TaskKind.TRANSLATION, "test", seconds)
        self.end = self.clock.now + seconds
        slo = Slo(TaskKind.TRANSLATION, service, self.clock.now, self.end, "test")
        self.calls = TaskCalls(self.engine, slo, self.record, self.clock)

    @property
    def due(self) -> list[float]:
        """When each call was due, after the task's arrival."""
        return [each.slo.deadline - 100.0 for each in self.engine.calls]

    @property
    def work(self) -> list[float]:
        """How much work was left in the task at each call."""
        return [each.slo.task_work for each in self.engine.calls]


async def test_a_call_has_its_tasks_deadline_and_tells_the_work_left() -> None:
    task = Task(seconds=8.0)
    await task.calls.call(call(), then=[call(30).estimate])
    assert task.due == [pytest.approx(8.0)]
    assert task.work == [pytest.approx(4.0)]


async def test_the_work_falls_with_every_finished_call() -> None:
    task = Task(seconds=9.0)
    then = [call().estimate] * 2
    await task.calls.call(call(), then=then)
    await task.calls.call(call(), then=then[1:])
    await task.calls.call(call())
    assert task.work == pytest.approx([3.0, 2.0, 1.0])


async def test_of_two_tasks_the_smaller_one_tells_less_work() -> None:
    small, large = Task(seconds=20.0), Task(seconds=20.0)
    await small.calls.map([call()], then=[call().estimate])
    await large.calls.map([call() for _ in range(5)], then=[call().estimate])
    assert max(small.work) < min(large.work)


async def test_answers_longer_than_expected_raise_the_work() -> None:
    short, long = Task(seconds=9.0), Task(seconds=9.0, answered=50)
    for task in (short, long):
        await task.calls.call(call(), then=[call().estimate])
        await task.calls.call(call())
    assert long.work[0] == short.work[0]
    assert long.work[1] > short.work[1]


async def test_a_ttft_deadline_tells_no_work() -> None:
    task = Task(seconds=0.5, service=ServiceClass.TTFT)
    await task.calls.call(call(), then=[call().estimate])
    assert task.due == [pytest.approx(0.5)]
    assert task.work == [0.0]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    seconds=st.floats(0.5, 200.0),
    answered=st.integers(1, 60),
)
async def test_calls_have_the_tasks_deadline_and_limited_concurrency(
    sizes: Sequence[int], seconds: float, answered: int
) -> None:
    task = Task(seconds, answered)
    await task.calls.map([call(size) for size in sizes], then=[CallEstimate(0, 10)])
    await task.calls.call(call())
    assert task.due == pytest.approx([seconds] * len(task.due))
    assert task.engine.widest == min(len(sizes), MOST_CALLS)


async def test_answers_come_in_the_order_of_the_calls() -> None:
    task = Task(seconds=0.1)
    lengths = iter([9, 1, 5])
    task.engine.answer = lambda asked: " ".join(str(asked.prompt_ids[0]) for _ in range(next(lengths)))
    prompts = [ModelCall(Prompt((number,)), 64, ANSWER) for number in (7, 8, 9)]
    answers = await task.calls.map(prompts)
    assert [answer.text[0] for answer in answers] == ["7", "8", "9"]


async def test_alternatives_have_different_seeds_and_likeliest_answers_none() -> None:
    task = Task(seconds=8.0)
    await task.calls.call(call())
    await task.calls.map(alternatives(call()))
    first, *others = [each.seed for each in task.engine.calls]
    assert first is None
    assert len({*others} - {None}) == ALTERNATIVES


async def test_a_failed_call_cancels_the_others_of_its_map() -> None:
    task = Task(seconds=0.1)
    task.engine.fail_at = 1
    with pytest.raises(EngineError, match="died"):
        await task.calls.map([call() for _ in range(4)])
    assert task.engine.running == 0


async def test_there_is_time_for_a_call_only_before_the_deadline() -> None:
    task = Task(seconds=3.0)
    await task.calls.call(call())
    assert task.calls.has_time_for(call(15).estimate)
    assert not task.calls.has_time_for(call(40).estimate)


async def test_after_the_first_token_of_a_generation_there_is_time_for_another_call() -> None:
    task = Task(service=ServiceClass.TTFT, seconds=0.1)
    await task.calls.call(call())
    assert task.calls.has_time_for(call(40).estimate)


async def test_the_record_counts_all_calls() -> None:
    task = Task(seconds=50.0)
    await task.calls.map([call(), call()], then=[call().estimate])
    await task.calls.call(call())
    assert len(task.record.calls) == 3
    assert task.record.prompt_tokens == 9
    assert task.record.answer_tokens == 3 * ANSWER
    assert task.record.ttft == pytest.approx(0.1)
