"""Measures deadlines for whole tasks: tasks of many calls, mixed with completions, in virtual time.

vLLM's real scheduler runs them; they are asked through the product's own `TaskCalls`. Compared are its deadlines, which
come from the whole task, with those that others would give each call, and with none.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import anyio
import anyio.lowlevel

from cato_lsp.bench.core import start_core, step
from cato_lsp.bench.executor import STOP_TOKEN, VirtualClock, make_executor_cls
from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.poisson import MIX, mix_calls
from cato_lsp.bench.policies import PolicySpec
from cato_lsp.bench.workload import SLA_SECONDS
from cato_lsp.bench.workload import WorkloadCall as Completion
from cato_lsp.engine.api import Call, Delta, EngineStats
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.orchestrator.call_times import MOST_CALLS
from cato_lsp.orchestrator.record import TaskRecord
from cato_lsp.orchestrator.task_calls import TaskCalls
from cato_lsp.scheduling.cost import StepCostModel, StepCosts
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.calls import Answer, ModelCall, OnText
from cato_lsp.tasks.prompts import Prompt

TURNS = 8
"""Turns of the event loop after each step, so that tasks can read their tokens and make further calls."""


class Deadlines(StrEnum):
    """Where the deadlines of calls come from."""

    WORKFLOW = "workflow"
    """The product's rule: a call's deadline is its task's; it also tells the work that is left in the task."""
    TASK = "of the task"
    """A call's deadline is that of its task."""
    SHARE = "share of the time left"
    """Each call gets a part of the task's remaining time, in proportion to its predicted work."""
    PER_CALL = "per call"
    """Each call has a whole task's time limit, from its own start, as on a server that sees only calls."""
    PER_STAGE = "per call, divided"
    """The same, divided by the number of calls that the task makes one after another."""
    NONE = "none"
    """Calls have no deadline."""


@dataclass(frozen=True, slots=True)
class MultiCallTask:
    """A task of several calls: one for each part, then perhaps a last one."""

    arrival: float
    kind: TaskKind
    time_limit: float
    """Seconds from its arrival to its deadline."""
    parts: tuple[tuple[int, int, int], ...]
    """For each part: tokens of the prompt, of the answer, and of the expected answer."""
    last: tuple[int, int, int] | None
    """The same for the call that follows (it combines or repairs the answers)."""


@dataclass(frozen=True, slots=True)
class Mix:
    """The workload of one run."""

    tasks: Sequence[MultiCallTask]
    completions: Sequence[Completion]


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """The result of a mix under one kind of deadlines."""

    met: int
    """Tasks whose deadline was met."""
    tasks: int
    completions_met: float
    """Share of the completions whose first token was on time."""
    latenesses: tuple[float, ...]
    """For each task, seconds from its deadline to its end; negative: it was early."""
    makespan: float


def mixed_tasks(count: int, seconds: float, seed: int = 0, rate: float = 1.0) -> Mix:
    """Draw summaries of long files, translations, and completions (Poisson arrivals). Equal seeds give equal mixes.

    :param rate: load of the completions; 1 is ten per second.
    """
    rng = random.Random(seed)
    arrivals = sorted(rng.uniform(0.0, seconds) for _ in range(count))
    tasks = [_summary(rng, at) if rng.random() < 0.6 else _translation(rng, at) for at in arrivals]
    return Mix(tasks, mix_calls((MIX[0],), rate=rate, seed=seed, duration=seconds) if rate else [])


def play(mix: Mix, deadlines: Deadlines, policy: PolicySpec, profile: HardwareProfile) -> WorkflowRun:
    """Play a mix to its end in virtual time."""
    return anyio.run(_play, mix, deadlines, policy, profile)


async def _play(mix: Mix, deadlines: Deadlines, policy: PolicySpec, profile: HardwareProfile) -> WorkflowRun:
    engine = VirtualEngine(policy, profile)
    lateness: dict[int, float] = {}
    in_time: list[bool] = []

    async def run(number: int, task: MultiCallTask) -> None:
        await engine.sleep_until(task.arrival)
        end = task.arrival + task.time_limit
        slo = Slo(task.kind, ServiceClass.E2E, task.arrival, end, f"editor-{number % 20}")
        record = TaskRecord(task.kind, slo.client, task.time_limit, e2e_deadline=True)
        calls = _CALLS[deadlines](engine, slo, record, engine.clock)
        last = None if task.last is None else _call(*task.last)
        await calls.map([_call(*part) for part in task.parts], then=[] if last is None else [last.estimate])
        if last is not None:
            await calls.call(last)
        lateness[number] = engine.clock.now - end

    async def complete(asked: Completion) -> None:
        await engine.sleep_until(asked.time)
        due = asked.time + SLA_SECONDS[asked.kind]
        slo = Slo(asked.kind, ServiceClass.TTFT, asked.time, due, asked.client)
        prompt = _call(asked.prompt, asked.answer, asked.answer).prompt
        first = math.inf
        async with engine.submit(Call(prompt.ids, slo, asked.answer)) as stream:
            async for _delta in stream:
                first = min(first, engine.clock.now)
        in_time.append(first <= due)

    async with anyio.create_task_group() as group:
        group.start_soon(engine.drive, len(mix.tasks) + len(mix.completions))
        for number, task in enumerate(mix.tasks):
            group.start_soon(engine.counted, run, number, task)
        for asked in mix.completions:
            group.start_soon(engine.counted, complete, asked)
    engine.close()
    ordered = tuple(lateness[number] for number in range(len(mix.tasks)))
    met = sum(each <= 0 for each in ordered)
    share = sum(in_time) / len(in_time) if in_time else 1.0
    return WorkflowRun(met, len(mix.tasks), share, ordered, engine.clock.now)


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
            extra_args={"cato": call.slo},
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

    def cost(self) -> StepCosts:
        """Return what the scheduler has learned, or the defaults under stock vLLM."""
        model: StepCostModel | None = getattr(self._core.scheduler, "cost_model", None)
        return StepCosts() if model is None else model.costs

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
        """Step the engine and move the clock until `tasks` counted tasks have ended."""
        scheduler = self._core.scheduler
        while True:
            while self._sleepers and self._sleepers[0][0] <= self.clock.now:
                heapq.heappop(self._sleepers)[2].set()
            for _ in range(TURNS):
                await anyio.lowlevel.checkpoint()
            if self._ended == tasks:
                return
            if scheduler.has_unfinished_requests():
                for output in step(self._core)[0]:
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


class _TaskDeadlines(TaskCalls):
    def _slo_of_call(self) -> Slo:
        return self._slo


class _Shares(TaskCalls):
    async def _ask(self, call: ModelCall, on_text: OnText | None) -> Answer:
        self._asked = call.estimate
        return await super()._ask(call, on_text)

    def _slo_of_call(self) -> Slo:
        now, deadline = self._clock(), self._slo.deadline
        times = self._times
        mine, after = times.seconds(self._asked), sum(map(times.seconds, self._then))
        concurrent = sum(map(times.seconds, self._left)) - after
        whole = max(mine, concurrent / MOST_CALLS) + after
        due = now + (deadline - now) * min(1.0, mine / whole) if deadline > now else deadline
        return replace(self._slo, deadline=due)


class _PerCall(TaskCalls):
    def _slo_of_call(self) -> Slo:
        return replace(self._slo, deadline=self._clock() + self._slo.deadline - self._slo.arrival)


class _PerStage(TaskCalls):
    def _slo_of_call(self) -> Slo:
        part = (self._slo.deadline - self._slo.arrival) / (self._rounds + 1 + len(self._then))
        return replace(self._slo, deadline=self._clock() + part)


class _NoDeadlines(TaskCalls):
    def _slo_of_call(self) -> Slo:
        return replace(self._slo, deadline=math.inf)


_CALLS: dict[Deadlines, type[TaskCalls]] = {
    Deadlines.WORKFLOW: TaskCalls,
    Deadlines.TASK: _TaskDeadlines,
    Deadlines.SHARE: _Shares,
    Deadlines.PER_CALL: _PerCall,
    Deadlines.PER_STAGE: _PerStage,
    Deadlines.NONE: _NoDeadlines,
}


def _call(prompt: int, answer: int, expected: int) -> ModelCall:
    return ModelCall(Prompt((answer, *([3] * (prompt - 1)))), max_tokens=4096, expected_tokens=expected)


def _summary(rng: random.Random, arrival: float) -> MultiCallTask:
    """The explanation of a file: a sentence for each of its symbols, then one for all."""
    parts = tuple((rng.randint(80, 1200), _answer(rng, 40), 40) for _ in range(rng.randint(2, 24)))
    last = (len(parts) * 48, _answer(rng, 80), 80)
    tokens = sum(part[0] for part in parts)
    return MultiCallTask(arrival, TaskKind.SUMMARIZATION, 9.0 + 0.6e-3 * tokens, parts, last)


def _translation(rng: random.Random, arrival: float) -> MultiCallTask:
    """The translation of a file piece by piece; one in four pieces' answers needs a repair at the end."""
    sizes = [rng.randint(60, 300) for _ in range(rng.randint(2, 12))]
    parts = tuple((60 + size, _answer(rng, int(1.3 * size)), int(1.3 * size)) for size in sizes)
    last = (2 * sizes[0], _answer(rng, sizes[0]), sizes[0]) if rng.random() < 0.25 else None
    return MultiCallTask(arrival, TaskKind.TRANSLATION, 18.0 + 6e-3 * sum(sizes), parts, last)


def _answer(rng: random.Random, mean: int) -> int:
    return max(4, round(mean * rng.lognormvariate(-0.08, 0.4)))


def _ignore(_start: float, _end: float, _tokens: dict[str, int]) -> None:
    return
