"""The calls of one task under one deadline.

The scheduler does not know tasks. Each call therefore has its task's deadline, and says how much work is left in the
task (`Slo.task_work`). By deadline alone, the earliest first, most tasks are late once the engine is overloaded, since
every one is a little late. The scheduler therefore puts calls back by the work that is left: tasks that are nearly done
finish first, and of tasks that cannot all be on time the small ones are. The work is predicted again for each call.

An early deadline for each call, its share of the time left, did worse: the scheduler hurries, or gives up, calls that
have time. ``scripts/bench_workflows.py`` compares the alternatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from cato_lsp.engine.api import Call, CallRejectedError, Engine, EngineError
from cato_lsp.orchestrator.call_times import MOST_CALLS, CallTimes, LengthRatio
from cato_lsp.orchestrator.record import TaskRecord
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.calls import Answer, CallEstimate, Calls, ModelCall, OnText

_Args = TypeVarTuple("_Args")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class TaskObserver:
    """Is told how a task progresses."""

    note: Callable[[str], None] = lambda _text: None
    """Takes a sentence for the user: why the task takes longer, or does less."""
    tokens: Callable[[int], None] = lambda _count: None
    """Takes the number of tokens answered so far."""
    show: Callable[[str], None] = lambda _text: None
    """Takes the result so far, all of it."""


class TaskCalls(Calls):
    """The calls of one task on an engine.

    :param slo: the task's. Its deadline is that of the first token for the class TTFT, else of the last token.
    :param estimate: the expected cost of all calls of the task.
    :param length_ratio: learned from the answers of all tasks.
    """

    def __init__(
        self,
        engine: Engine,
        slo: Slo,
        record: TaskRecord,
        clock: Callable[[], float],
        estimate: Sequence[CallEstimate] = (),
        length_ratio: LengthRatio | None = None,
        observer: TaskObserver = TaskObserver(),
    ) -> None:
        self._engine = engine
        self._slo = slo
        self._record = record
        self._clock = clock
        self._length_ratio = length_ratio or LengthRatio()
        self._observer = observer
        self._left = list(estimate)
        """The calls that have not ended."""
        self._then: Sequence[CallEstimate] = ()
        """Those of them that follow the running call or map."""
        self._rounds = 0
        """Calls and maps that have ended."""

    @property
    def kind(self) -> TaskKind:
        """The kind of the task."""
        return self._slo.kind

    @property
    def client(self) -> str:
        """The client that the task belongs to."""
        return self._slo.client

    @property
    def load(self) -> float:
        """Predicted seconds by which the calls that are left delay other tasks."""
        return sum(map(self._times.load, self._left))

    async def call(
        self, call: ModelCall, *, then: Sequence[CallEstimate] = (), on_text: OnText | None = None
    ) -> Answer:
        """See `Calls.call`."""
        self._left, self._then = [call.estimate, *then], then
        answer = await self._ask(call, on_text)
        self._left = list(then)
        self._rounds += 1
        return answer

    async def map(
        self,
        calls: Sequence[ModelCall],
        *,
        then: Sequence[CallEstimate] = (),
        on_text: Callable[[int, str], bool] | None = None,
    ) -> list[Answer]:
        """See `Calls.map`. At most `MOST_CALLS` run at the same time."""
        self._then = then
        waiting = list(range(len(calls)))
        running: set[int] = set()
        answers: dict[int, Answer] = {}
        ended = anyio.Event()
        failure: EngineError | None = None

        async def ask(number: int) -> None:
            nonlocal failure
            try:
                answers[number] = await self._ask(calls[number], on_text and partial(on_text, number))
            except EngineError as error:
                failure = error
                group.cancel_scope.cancel()
            running.discard(number)
            ended.set()

        async with anyio.create_task_group() as group:
            while waiting or running:
                while waiting and len(running) < MOST_CALLS:
                    running.add(number := waiting.pop(0))
                    group.start_soon(ask, number)
                self._left = [*(calls[each].estimate for each in (*running, *waiting)), *then]
                ended = anyio.Event()
                await ended.wait()
        if failure is not None:
            raise failure
        self._left = list(then)
        self._rounds += 1
        return [answers[number] for number in range(len(calls))]

    def has_time_for(self, extra: CallEstimate) -> bool:
        """See `Calls.has_time_for`."""
        if self._slo.service is ServiceClass.TTFT:
            return True  # the first token is out when an answer is judged
        times = self._times.under_load()
        return self._clock() + times.together(self._left) + times.seconds(extra) <= self._slo.deadline

    async def compute(self, function: Callable[[*_Args], _Result], *args: *_Args) -> _Result:
        """See `Calls.compute`: on a worker thread."""
        return await anyio.to_thread.run_sync(function, *args)

    def show(self, text: str) -> None:
        """See `Calls.show`."""
        self._observer.show(text)

    @property
    def _times(self) -> CallTimes:
        return CallTimes(self._engine.cost(), self._length_ratio.value)

    def _slo_of_call(self) -> Slo:
        """The deadline of a call that starts now, and the work that is left."""
        return replace(self._slo, task_work=self.load if self._slo.service is ServiceClass.E2E else 0.0)

    async def _ask(self, call: ModelCall, on_text: OnText | None) -> Answer:
        prompt, record = call.prompt, self._record
        seed = len(record.calls) if call.temperature else None
        pieces: list[str] = []
        complete, tokens = False, 0
        stream = self._engine.submit(
            Call(prompt.ids, self._slo_of_call(), call.max_tokens, prompt.stop_token_ids, call.temperature, seed)
        )
        record.prompt_tokens += len(prompt.ids)
        record.calls.append(stream.usage)
        async with stream:
            async for delta in stream:
                if not tokens:
                    record.cached_tokens += delta.cached_prompt_tokens
                    if record.ttft is None:
                        record.ttft = self._clock() - self._slo.arrival
                tokens += delta.tokens
                record.answer_tokens += delta.tokens
                pieces.append(delta.text)
                self._observer.tokens(record.answer_tokens)
                if delta.finish_reason == "abort":
                    raise CallRejectedError("The model could not answer.")
                complete = delta.finish_reason == "stop"
                if delta.text and on_text is not None and on_text("".join(pieces)):
                    break
        self._length_ratio.learn(call.estimate, tokens)
        return Answer("".join(pieces), complete)
