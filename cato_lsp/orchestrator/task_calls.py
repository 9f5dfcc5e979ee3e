"""The calls of one task under one promise.

The scheduler orders E2E calls by their deadlines, and knows nothing of tasks. So each call carries its task's
deadline, and stands further back the more work its task has left. The deadlines of tasks alone (earliest deadline
first) lose many promises as soon as far from all can be kept, since everybody is late by a little; with the work that
is left in them, what is nearly done is finished, and of tasks that cannot all be kept the small ones are. The work left
is predicted anew whenever a call starts.

Not taken: an early deadline for each call, its share of the time left. It makes the scheduler hurry, or give up, calls
that have time. ``scripts/bench_workflows.py`` compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import anyio

from cato_lsp.engine.api import Call, CallRejectedError, Engine, EngineError
from cato_lsp.orchestrator.pace import WIDEST, Pace
from cato_lsp.orchestrator.record import TaskRecord
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.calls import Answer, CallEstimate, Calls, ModelCall, OnText

QUEUE_PENALTY = 30.0
"""Seconds that a task stands further back for each second that what is left of it will hold up others."""


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

    :param slo: the task's. Its deadline is the first token's for the class TTFT, else the last token's.
    :param estimate: the expected cost of all calls of the task.
    """

    def __init__(
        self,
        engine: Engine,
        slo: Slo,
        record: TaskRecord,
        pace: Pace,
        clock: Callable[[], float],
        estimate: Sequence[CallEstimate] = (),
        observer: TaskObserver = TaskObserver(),
    ) -> None:
        self._engine = engine
        self._slo = slo
        self._record = record
        self._pace = pace
        self._clock = clock
        self._left = list(estimate)
        self._observer = observer
        self._stage = 0

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
        return sum(map(self._pace.load, self._left))

    async def call(
        self, call: ModelCall, *, then: Sequence[CallEstimate] = (), on_text: OnText | None = None
    ) -> Answer:
        """See `Calls.call`."""
        self._left = [call.estimate, *then]
        answer = await self._ask(call, self._slo_of(call, then), on_text)
        self._left = list(then)
        self._stage += 1
        return answer

    async def map(
        self,
        calls: Sequence[ModelCall],
        *,
        then: Sequence[CallEstimate] = (),
        on_text: Callable[[int, str], bool] | None = None,
    ) -> list[Answer]:
        """See `Calls.map`."""
        waiting = list(range(len(calls)))
        running: set[int] = set()
        answers: dict[int, Answer] = {}
        ended = anyio.Event()
        failure: EngineError | None = None

        async def ask(number: int) -> None:
            nonlocal failure
            call = calls[number]
            watch = None if on_text is None else partial(on_text, number)
            try:
                answers[number] = await self._ask(call, self._slo_of(call, then), watch)
            except EngineError as error:
                failure = error
                group.cancel_scope.cancel()
            running.discard(number)
            ended.set()

        async with anyio.create_task_group() as group:
            while waiting or running:
                while waiting and len(running) < WIDEST:
                    running.add(number := waiting.pop(0))
                    group.start_soon(ask, number)
                self._left = [*(calls[each].estimate for each in (*running, *waiting)), *then]
                ended = anyio.Event()
                await ended.wait()
        if failure is not None:
            raise failure
        self._left = list(then)
        self._stage += 1
        return [answers[number] for number in range(len(calls))]

    def has_time_for(self, extra: CallEstimate) -> bool:
        """See `Calls.has_time_for`."""
        left = self._pace.together(self._left) + self._pace.seconds(extra)
        return self._clock() + left <= self._slo.deadline

    def show(self, text: str) -> None:
        """See `Calls.show`."""
        self._observer.show(text)

    def _slo_of(self, call: ModelCall, then: Sequence[CallEstimate]) -> Slo:
        """The promise to a call that starts now.

        :param then: what follows the call, or the map that it is part of.
        """
        del call, then
        queue_penalty = QUEUE_PENALTY * self.load if self._slo.service is ServiceClass.E2E else 0.0
        return replace(self._slo, queue_penalty=queue_penalty)

    async def _ask(self, call: ModelCall, slo: Slo, on_text: OnText | None) -> Answer:
        slo = replace(slo, stage=self._stage)
        seed = self._stage if call.temperature else None
        prompt = call.prompt
        began = self._clock()
        pieces: list[str] = []
        complete, tokens, first, cached = False, 0, began, 0
        stream = self._engine.submit(
            Call(prompt.ids, slo, call.max_tokens, prompt.stop_token_ids, call.temperature, seed)
        )
        record = self._record
        record.prompt_tokens += len(prompt.ids)
        record.calls.append(stream.usage)
        async with stream:
            async for delta in stream:
                if not tokens:
                    first, cached = self._clock(), delta.cached_prompt_tokens
                    record.cached_tokens += cached
                    if record.ttft is None:
                        record.ttft = first - self._slo.arrival
                tokens += delta.tokens
                record.answer_tokens += delta.tokens
                pieces.append(delta.text)
                self._observer.tokens(record.answer_tokens)
                if delta.finish_reason == "abort":
                    raise CallRejectedError("The model could not answer.")
                complete = delta.finish_reason == "stop"
                if delta.text and on_text is not None and on_text("".join(pieces)):
                    break
        self._pace.learn(call.estimate, tokens, first - began, self._clock() - began, cached)
        return Answer("".join(pieces), complete)
