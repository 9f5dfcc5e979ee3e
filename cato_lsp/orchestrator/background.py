"""Work that nobody waits for, one piece at a time, in the engine's background class."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import anyio

from cato_lsp.engine.api import EngineError
from cato_lsp.orchestrator.answer_stream import AnswerStream, completion_call
from cato_lsp.orchestrator.completion import Prepare
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.completion import CompletionRequest
from cato_lsp.tasks.typethrough import TypeThroughCache

logger = logging.getLogger(__name__)

_MOST = 8
"""Pieces of work that wait; the oldest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """One piece of work."""

    client: str
    request: CompletionRequest
    prepare: Prepare
    cache: TypeThroughCache | None = None
    """Where the completion goes; ``None``: only the prompt is read."""
    least: float = 0.0
    """Confidence below which the completion is forgotten."""
    done: Callable[[], None] = lambda: None
    """Called when the prompt has been read."""


class Background:
    """Runs such work until cancelled.

    :param ready: waits for an engine.
    """

    def __init__(self, clock: Callable[[], float], ready: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._ready = ready
        self._waiting: deque[Ahead] = deque(maxlen=_MOST)
        self._arrived = anyio.Event()
        self._running: tuple[Ahead, anyio.CancelScope] | None = None
        self.done = 0
        """Pieces finished."""

    def put(self, work: Ahead) -> None:
        """Do ``work`` when there is time."""
        self._waiting.append(work)
        self._arrived.set()

    def drop(self, client: str) -> None:
        """Forget a client's work: it has gone on."""
        for work in [each for each in self._waiting if each.client == client]:
            self._waiting.remove(work)
        if self._running is not None and self._running[0].client == client:
            self._running[1].cancel()

    async def run(self) -> None:
        """Work."""
        while True:
            while self._waiting:
                work = self._waiting.popleft()
                with anyio.CancelScope() as scope:
                    self._running = (work, scope)
                    try:
                        await self._do(work)
                    except EngineError as error:
                        logger.debug("Nothing was done ahead: %s", error)
                    finally:
                        self._running = None
            self._arrived = anyio.Event()
            await self._arrived.wait()

    async def _do(self, work: Ahead) -> None:
        await self._ready()
        engine, plan = await work.prepare()
        if plan is None:
            return
        slo = Slo(TaskKind.WARMUP, ServiceClass.BACKGROUND, self._clock(), math.inf, work.client)
        call = completion_call(plan, slo, scored=work.least > 0)
        stream = engine.submit(replace(call, max_tokens=1) if work.cache is None else call)
        answer = AnswerStream(work.request, plan, stream, work.least)
        try:
            await answer.read(work.request, lambda _delta, _first: None)
        finally:
            await answer.close()
        work.done()
        completion = answer.completion(work.request)
        if work.cache is not None and completion is not None:
            work.cache.put_completion(work.request, completion)
        self.done += 1
