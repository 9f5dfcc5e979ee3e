"""The calls of one task under one promise.

Each call's deadline comes from the task's: what is left of its time, divided in proportion to the predicted work. The
division is made anew whenever a call starts, so that what one call saves or wastes is shared by all that follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import anyio

from cato_lsp.engine.api import Call, CallRejectedError, Engine, EngineError
from cato_lsp.orchestrator.pace import Pace
from cato_lsp.orchestrator.record import TaskRecord
from cato_lsp.scheduling.promise import Promise, ServiceClass
from cato_lsp.tasks.calls import Answer, ModelCall, OnText, Work

WIDEST = 8
"""Calls of one task that run at once, at most: seats are left for others."""


AIM = 0.15
"""Share of the time left that calls side by side are to take, as predicted. Others will come meanwhile, and answers turn
out longer than expected; larger shares kept fewer promises near saturation (``scripts/bench_workflows.py``).
"""


class TaskCalls:
    """A `cato_lsp.tasks.calls.Calls` on an engine.

    :param promise: the task's. Its deadline is the first token's for the class TTFT, else the last token's.
    :param foreseen: what the task will probably cost in all.
    :param on_tokens: is told how many tokens have been answered so far.
    """

    def __init__(
        self,
        engine: Engine,
        promise: Promise,
        record: TaskRecord,
        pace: Pace,
        clock: Callable[[], float],
        foreseen: Sequence[Work] = (),
        on_tokens: Callable[[int], None] = lambda _tokens: None,
    ) -> None:
        self._engine = engine
        self._promise = promise
        self._record = record
        self._pace = pace
        self._clock = clock
        self._left = list(foreseen)
        self._on_tokens = on_tokens
        self._stage = 0

    @property
    def remaining(self) -> float:
        """Predicted seconds of work that are left."""
        return sum(map(self._pace.seconds, self._left))

    @property
    def deadline(self) -> float:
        """When the task is due."""
        return self._promise.deadline

    async def call(self, call: ModelCall, *, then: Sequence[Work] = (), on_text: OnText | None = None) -> Answer:
        """See `Calls.call`."""
        self._left = [call.work, *then]
        answer = await self._ask(call, self._due(call.work, then), on_text)
        self._left = list(then)
        self._stage += 1
        return answer

    async def map(
        self,
        calls: Sequence[ModelCall],
        *,
        then: Sequence[Work] = (),
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
            due = self._due(call.work, then, [calls[each].work for each in waiting], self._width(calls, waiting, then))
            try:
                answers[number] = await self._ask(call, due, watch)
            except EngineError as error:
                failure = error
                group.cancel_scope.cancel()
            running.discard(number)
            ended.set()

        async with anyio.create_task_group() as group:
            while waiting or running:
                while waiting and len(running) < self._width(calls, [*waiting, *running], then):
                    running.add(number := waiting.pop(0))
                    group.start_soon(ask, number)
                self._left = [*(calls[each].work for each in (*running, *waiting)), *then]
                ended = anyio.Event()
                await ended.wait()
        if failure is not None:
            raise failure
        self._left = list(then)
        self._stage += 1
        return [answers[number] for number in range(len(calls))]

    def has_time_for(self, work: Work) -> bool:
        """See `Calls.has_time_for`."""
        return self._clock() + self._pace.seconds(work) + self.remaining <= self._promise.deadline

    def _due(self, own: Work, then: Sequence[Work], beside: Sequence[Work] = (), width: int = 1) -> float:
        """When a call that starts now is due."""
        if self._promise.service is not ServiceClass.E2E:
            return self._promise.deadline
        now = self._clock()
        seconds = self._pace.seconds
        mine = seconds(own)
        rest = sum(map(seconds, beside)) / width + sum(map(seconds, then))
        left = self._promise.deadline - now
        return now + left * mine / (mine + rest) if left > 0 and mine > 0 else self._promise.deadline

    def _width(self, calls: Sequence[ModelCall], open_calls: Sequence[int], then: Sequence[Work]) -> int:
        """How many calls have to run at once for the promise to be kept."""
        serial = sum(self._pace.seconds(calls[number].work) for number in open_calls)
        left = self._promise.deadline - self._clock() - sum(map(self._pace.seconds, then))
        if left <= 0:
            return WIDEST
        return max(1, min(WIDEST, int(serial / (AIM * left)) + 1))

    async def _ask(self, call: ModelCall, due: float, on_text: OnText | None) -> Answer:
        promise = replace(self._promise, deadline=due, stage=self._stage)
        seed = self._stage if call.temperature else None
        prompt = call.prompt
        began = self._clock()
        pieces: list[str] = []
        complete, tokens, first, cached = False, 0, began, 0
        stream = self._engine.submit(
            Call(prompt.ids, promise, call.max_tokens, prompt.stop_token_ids, call.temperature, seed)
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
                        record.ttft = first - self._promise.arrival
                tokens += delta.tokens
                record.answer_tokens += delta.tokens
                pieces.append(delta.text)
                self._on_tokens(record.answer_tokens)
                if delta.finish_reason == "abort":
                    raise CallRejectedError("The model could not answer.")
                complete = delta.finish_reason == "stop"
                if delta.text and on_text is not None and on_text("".join(pieces)):
                    break
        self._pace.learn(call.work, tokens, first - began, self._clock() - began, cached)
        return Answer("".join(pieces), complete)
