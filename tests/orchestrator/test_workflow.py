"""Deadlines over whole sequences of calls, in virtual time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cato_lsp.engine.api import EngineError
from cato_lsp.orchestrator.pace import Pace
from cato_lsp.orchestrator.record import TaskRecord
from cato_lsp.orchestrator.workflow import WIDEST, TaskCalls
from cato_lsp.scheduling.promise import Promise, ServiceClass, TaskKind
from cato_lsp.tasks.calls import ModelCall, Work
from cato_lsp.tasks.prompts import Prompt
from tests.orchestrator.scripted import Clock, ScriptedEngine

pytestmark = pytest.mark.anyio

ANSWER = 10


def pace() -> Pace:
    """One second for a call of `ANSWER` tokens, whatever its prompt."""
    return Pace(prompt_token=0.0, answer_token=0.1, calls=1)


def call(expected: int = ANSWER) -> ModelCall:
    return ModelCall(Prompt((1, 2, 3)), max_tokens=64, expected_tokens=expected)


class Task:
    """A task with a promise ``seconds`` long on a fresh engine, whose answers have the length given."""

    def __init__(self, seconds: float, answered: int = ANSWER, service: ServiceClass = ServiceClass.E2E) -> None:
        self.clock = Clock()
        self.engine = ScriptedEngine(self.clock, lambda _call: " ".join("x" * answered))
        self.record = TaskRecord(TaskKind.TRANSLATION, "test", seconds)
        self.end = self.clock.now + seconds
        promise = Promise(TaskKind.TRANSLATION, service, self.clock.now, self.end, "test")
        self.calls = TaskCalls(self.engine, promise, self.record, pace(), self.clock)

    @property
    def due(self) -> list[float]:
        """When each call was due, after the task's arrival."""
        return [each.promise.deadline - 100.0 for each in self.engine.calls]


async def test_each_call_gets_the_share_of_what_is_left_that_its_work_is() -> None:
    task = Task(seconds=8.0)
    await task.calls.call(call(), then=[call(30).work])
    assert task.due == [pytest.approx(2.0)]


async def test_time_that_a_call_saved_is_divided_among_the_rest() -> None:
    task = Task(seconds=9.0)
    then = [call().work] * 2
    await task.calls.call(call(), then=then)  # takes 1 s of its 3
    await task.calls.call(call(), then=then[1:])
    await task.calls.call(call())
    assert task.due == pytest.approx([3.0, 1.0 + 8.0 / 2, 9.0])


async def test_time_that_a_call_wasted_is_taken_from_the_rest() -> None:
    task = Task(seconds=9.0, answered=50)
    await task.calls.call(call(), then=[call().work] * 2)  # takes 5 s of its 3
    await task.calls.call(call(), then=[call().work])
    assert task.due[0] == pytest.approx(3.0)
    assert task.due[1] == pytest.approx(5.0 + 4.0 / 2)


async def test_an_overdue_task_asks_for_its_own_deadline() -> None:
    task = Task(seconds=2.0, answered=50)
    await task.calls.call(call(), then=[call().work])
    await task.calls.call(call())
    assert task.due[1] == pytest.approx(2.0)


async def test_a_promise_on_the_first_token_is_not_divided() -> None:
    task = Task(seconds=0.5, service=ServiceClass.TTFT)
    await task.calls.call(call(), then=[call().work])
    assert task.due == [pytest.approx(0.5)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    seconds=st.floats(0.5, 200.0),
    answered=st.integers(1, 60),
)
async def test_no_call_of_a_task_is_due_after_the_task(sizes: Sequence[int], seconds: float, answered: int) -> None:
    task = Task(seconds, answered)
    await task.calls.map([call(size) for size in sizes], then=[Work(0, 10)])
    await task.calls.call(call())
    for started, due in zip(task.engine.started, task.due, strict=True):
        assert due <= seconds + 1e-6
        assert due + 100.0 > started or started >= task.end
    assert task.engine.widest <= WIDEST


async def test_a_map_runs_one_by_one_when_there_is_time() -> None:
    task = Task(seconds=100.0)
    answers = await task.calls.map([call() for _ in range(6)])
    assert task.engine.widest == 1
    assert [answer.complete for answer in answers] == [True] * 6


async def test_a_map_runs_wider_when_the_promise_needs_it() -> None:
    task = Task(seconds=2.5)
    await task.calls.map([call() for _ in range(6)])
    assert 3 <= task.engine.widest <= WIDEST


async def test_answers_come_in_the_order_of_the_calls() -> None:
    task = Task(seconds=0.1)
    lengths = iter([9, 1, 5])
    task.engine.answer = lambda asked: " ".join(str(asked.prompt_ids[0]) for _ in range(next(lengths)))
    prompts = [ModelCall(Prompt((number,)), 64, ANSWER) for number in (7, 8, 9)]
    answers = await task.calls.map(prompts)
    assert [answer.text[0] for answer in answers] == ["7", "8", "9"]


async def test_a_call_that_fails_ends_the_others_of_its_map() -> None:
    task = Task(seconds=0.1)
    task.engine.fail_at = 1
    with pytest.raises(EngineError, match="died"):
        await task.calls.map([call() for _ in range(4)])
    assert task.engine.running == 0


async def test_a_repair_is_made_only_if_the_promise_leaves_time() -> None:
    task = Task(seconds=3.0)
    await task.calls.call(call())
    assert task.calls.has_time_for(call(15).work)
    assert not task.calls.has_time_for(call(40).work)


async def test_the_record_counts_all_calls() -> None:
    task = Task(seconds=50.0)
    await task.calls.map([call(), call()], then=[call().work])
    await task.calls.call(call())
    assert len(task.record.calls) == 3
    assert task.record.prompt_tokens == 9
    assert task.record.answer_tokens == 3 * ANSWER
    assert task.record.ttft == pytest.approx(0.1)


async def test_the_pace_is_learned_from_what_calls_took() -> None:
    known = Pace()
    for _ in range(30):
        known.learn(Work(100, 10), answered=20, ttft=0.5, e2e=0.5 + 19 * 0.03, cached=0)
    assert known.answer_token == pytest.approx(0.03)
    assert known.prompt_token == pytest.approx(0.005)
    assert known.answer_length == pytest.approx(2.0, rel=0.01)
    assert known.seconds(Work(100, 10)) == pytest.approx(0.5 + 20 * 0.03, rel=0.02)


async def test_a_cached_prompt_does_not_make_prompts_look_cheap() -> None:
    known = Pace(prompt_token=0.01, calls=1)
    known.learn(Work(1000, 10), answered=10, ttft=0.001, e2e=0.1, cached=990)
    assert known.prompt_token == 0.01
    assert math.isfinite(known.seconds(Work(1000, 10)))
