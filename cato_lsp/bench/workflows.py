"""What deadlines over whole tasks are worth: tasks of many calls, in virtual time, on vLLM's real scheduler.

The tasks are asked through the product's own `TaskCalls`. Compared are deadlines that come from the task's promise,
each call promised by itself as if it were a task, and no deadlines at all.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import anyio
import anyio.lowlevel

from cato_lsp.bench.executor import STOP_TOKEN, ExecutedStep, VirtualClock, make_executor_cls
from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.policies import PolicySpec
from cato_lsp.bench.twin import start_core
from cato_lsp.engine.api import Call, Delta, EngineStats
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.orchestrator.pace import Pace
from cato_lsp.orchestrator.record import TaskRecord
from cato_lsp.orchestrator.workflow import WIDEST, TaskCalls
from cato_lsp.scheduling.promise import Promise, ServiceClass, TaskKind
from cato_lsp.tasks.calls import ModelCall, Work
from cato_lsp.tasks.prompts import Prompt

TURNS = 8
"""Turns of the event loop after each step, in which tasks take their tokens and ask for more."""


class Deadlines(StrEnum):
    """Where the deadlines of calls come from."""

    WORKFLOW = "workflow"
    """From the task's promise: what is left, divided by predicted remaining work."""
    PER_CALL = "per call"
    """Every call is promised what its task was, from its own start."""
    NONE = "none"
    """There are none; all calls of a stage are asked at once."""


@dataclass(frozen=True, slots=True)
class MultiCallTask:
    """One task: a map over parts and then perhaps a last call."""

    arrival: float
    kind: TaskKind
    promised: float
    """Seconds to its end."""
    parts: tuple[tuple[int, int, int], ...]
    """Tokens of the prompt, of the answer, and of the answer as it is expected, of each call of the map."""
    last: tuple[int, int, int] | None
    """The same of the call that follows (a reduction, a repair)."""


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """How the tasks went under one kind of deadlines."""

    kept: int
    tasks: int
    latenesses: tuple[float, ...]
    """Seconds by which each task ended after its deadline; below zero: before."""
    makespan: float


def mixed_tasks(count: int, seconds: float, seed: int = 0) -> list[MultiCallTask]:
    """Summaries of long files and translations, arriving over ``seconds`` (Poisson), the same for the same seed."""
    rng = random.Random(seed)
    arrivals = sorted(rng.uniform(0.0, seconds) for _ in range(count))
    return [_summary(rng, at) if rng.random() < 0.6 else _translation(rng, at) for at in arrivals]


def play(
    tasks: Sequence[MultiCallTask], deadlines: Deadlines, policy: PolicySpec, profile: HardwareProfile
) -> WorkflowRun:
    """Play the tasks to their end in virtual time."""
    return anyio.run(_play, tasks, deadlines, policy, profile)


async def _play(
    tasks: Sequence[MultiCallTask], deadlines: Deadlines, policy: PolicySpec, profile: HardwareProfile
) -> WorkflowRun:
    engine = VirtualEngine(policy, profile)
    pace = Pace(prompt_token=5e-5, answer_token=2 * profile.step_seconds, calls=1)
    lateness: dict[int, float] = {}

    async def run(number: int, task: MultiCallTask) -> None:
        await engine.sleep_until(task.arrival)
        end = task.arrival + task.promised
        promise = Promise(task.kind, ServiceClass.E2E, task.arrival, end, f"editor-{number % 20}")
        record = TaskRecord(task.kind, promise.client, task.promised, e2e_promised=True)
        make = TaskCalls if deadlines is Deadlines.WORKFLOW else _GreedyCalls
        calls = make(engine, promise, record, pace, engine.clock)
        if isinstance(calls, _GreedyCalls):
            calls.each = task.promised if deadlines is Deadlines.PER_CALL else math.inf
        last = None if task.last is None else _call(*task.last)
        await calls.map([_call(*part) for part in task.parts], then=[] if last is None else [last.work])
        if last is not None:
            await calls.call(last)
        lateness[number] = engine.clock.now - end

    async with anyio.create_task_group() as group:
        group.start_soon(engine.drive, len(tasks))
        for number, task in enumerate(tasks):
            group.start_soon(engine.counted, run, number, task)
    engine.close()
    ordered = tuple(lateness[number] for number in range(len(tasks)))
    return WorkflowRun(sum(each <= 0 for each in ordered), len(tasks), ordered, engine.clock.now)


class VirtualEngine:
    """A `cato_lsp.engine.api.Engine` in virtual time."""

    def __init__(self, policy: PolicySpec, profile: HardwareProfile) -> None:
        self.clock = VirtualClock()
        self._lengths: dict[str, int] = {}
        executor = make_executor_cls(profile, self.clock, self._lengths, _ignore)
        self._core: Any = start_core(False, policy, profile, executor, self.clock)
        self._numbers = itertools.count()
        self._streams: dict[str, ThreadCallStream] = {}
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._ended = 0

    def submit(self, call: Call) -> ThreadCallStream:
        """Queue a call. The first id of its prompt says how long its answer will be."""
        from vllm import SamplingParams
        from vllm.v1.request import Request

        number = str(next(self._numbers))
        stream = self._streams[number] = ThreadCallStream(number, call, self._cancel)
        self._lengths[number] = call.prompt_ids[0]
        params = SamplingParams(
            temperature=0.0,
            max_tokens=call.max_tokens,
            stop_token_ids=[STOP_TOKEN],
            extra_args={"cato": call.promise},
        )
        request = Request(
            request_id=number,
            prompt_token_ids=[3] * len(call.prompt_ids),
            sampling_params=params,
            pooling_params=None,
            arrival_time=self.clock.now,
            block_hasher=self._core.request_block_hasher,
        )
        self._core.add_request(request)
        return stream

    def hint(self, client: str, until: float) -> None:
        """Nobody types here."""

    def stats(self) -> EngineStats:
        """Nothing is counted here."""
        return EngineStats()

    async def sleep_until(self, time: float) -> None:
        """Wait until the virtual clock has come to ``time``."""
        reached = anyio.Event()
        heapq.heappush(self._sleepers, (time, next(self._numbers), reached))
        await reached.wait()

    async def counted(self, run: Callable[..., Any], *args: Any) -> None:
        """Run something that `drive` waits for."""
        try:
            await run(*args)
        finally:
            self._ended += 1

    async def drive(self, tasks: int) -> None:
        """Step the engine and move the clock until so many counted tasks have ended."""
        scheduler = self._core.scheduler
        while True:
            for _ in range(TURNS):
                await anyio.lowlevel.checkpoint()
            if self._ended == tasks:
                return
            while self._sleepers and self._sleepers[0][0] <= self.clock.now:
                heapq.heappop(self._sleepers)[2].set()
            if scheduler.has_unfinished_requests():
                outputs, _ = self._core.step()
                for batch in outputs.values():
                    for output in batch.outputs:
                        self._take(output)
            elif self._sleepers:
                self.clock.now = max(self.clock.now, self._sleepers[0][0])

    def close(self) -> None:
        """Free the engine."""
        self._core.shutdown()

    def _take(self, output: Any) -> None:
        stream = self._streams.get(output.request_id)
        if stream is not None:
            finished = output.finish_reason is not None
            stream.push(Delta("x", len(output.new_token_ids), "stop" if finished else None))
            if finished:
                del self._streams[output.request_id]

    def _cancel(self, stream: ThreadCallStream) -> None:
        self._streams.pop(stream.call_id, None)
        self._core.abort_requests([stream.call_id])


class _GreedyCalls(TaskCalls):
    """Asks everything at once; calls know nothing of each other."""

    each = math.inf
    """Seconds that every call is promised."""

    def _due(self, own: Work, then: Sequence[Work], beside: Sequence[Work] = (), width: int = 1) -> float:
        del own, then, beside, width
        return self._clock() + self.each

    def _width(self, calls: Sequence[ModelCall], open_calls: Sequence[int], then: Sequence[Work]) -> int:
        del calls, open_calls, then
        return WIDEST


def _call(prompt: int, answer: int, expected: int) -> ModelCall:
    return ModelCall(Prompt((answer, *([3] * (prompt - 1)))), max_tokens=4096, expected_tokens=expected)


def _summary(rng: random.Random, arrival: float) -> MultiCallTask:
    """The explanation of a file: a sentence for each of its symbols, then one for all."""
    parts = tuple((rng.randint(80, 1200), _answer(rng, 40), 40) for _ in range(rng.randint(2, 24)))
    last = (len(parts) * 48, _answer(rng, 80), 80)
    tokens = sum(part[0] for part in parts)
    return MultiCallTask(arrival, TaskKind.SUMMARIZATION, 3.0 + 0.2e-3 * tokens, parts, last)


def _translation(rng: random.Random, arrival: float) -> MultiCallTask:
    """The translation of a file piece by piece; one in four pieces' answers needs a repair at the end."""
    sizes = [rng.randint(60, 300) for _ in range(rng.randint(2, 12))]
    parts = tuple((60 + size, _answer(rng, int(1.3 * size)), int(1.3 * size)) for size in sizes)
    last = (2 * sizes[0], _answer(rng, sizes[0]), sizes[0]) if rng.random() < 0.25 else None
    return MultiCallTask(arrival, TaskKind.TRANSLATION, 6.0 + 2e-3 * sum(sizes), parts, last)


def _answer(rng: random.Random, mean: int) -> int:
    return max(4, round(mean * rng.lognormvariate(-0.08, 0.4)))


def _ignore(_step: ExecutedStep) -> None:
    return
