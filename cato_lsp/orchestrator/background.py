"""The queue of prefetch jobs, which run one at a time in the engine's background class."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import anyio

from cato_lsp.config import Settings
from cato_lsp.engine.api import Call, Engine, EngineError
from cato_lsp.orchestrator.answer_stream import AnswerStream, completion_call
from cato_lsp.orchestrator.prompt_source import PromptSource
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.completion import Completion, CompletionPlan, CompletionRequest
from cato_lsp.tasks.typethrough import TypeThroughCache

logger = logging.getLogger(__name__)

_MOST = 8
"""Jobs in the queue; the oldest is dropped first."""


@dataclass(frozen=True, slots=True)
class PrefetchJob:
    """A completion request that is likely to come."""

    client: str
    request: CompletionRequest
    settings: Settings
    cache: TypeThroughCache | None = None
    """Where the completion is stored; ``None``: only the prompt is prefilled, with newly gathered context."""


class Background:
    """Runs prefetch jobs until cancelled.

    :param ready: waits for an engine.
    """

    def __init__(self, prompts: PromptSource, clock: Callable[[], float], ready: Callable[[], Awaitable[None]]) -> None:
        self._prompts = prompts
        self._clock = clock
        self._ready = ready
        self._waiting: deque[PrefetchJob] = deque(maxlen=_MOST)
        self._arrived = anyio.Event()
        self._running: tuple[PrefetchJob, anyio.CancelScope] | None = None
        self.done = 0
        """Jobs finished."""

    def put(self, job: PrefetchJob) -> None:
        """Add a job to the queue."""
        self._waiting.append(job)
        self._arrived.set()

    def drop(self, client: str) -> None:
        """Drop a client's jobs, and cancel the one that runs."""
        for job in [each for each in self._waiting if each.client == client]:
            self._waiting.remove(job)
        if self._running is not None and self._running[0].client == client:
            self._running[1].cancel()

    async def run(self) -> None:
        """Run jobs as they arrive."""
        while True:
            while self._waiting:
                job = self._waiting.popleft()
                with anyio.CancelScope() as scope:
                    self._running = (job, scope)
                    try:
                        await self._ready()
                        await (self._warm_up(job) if job.cache is None else self._complete(job, job.cache))
                    except EngineError as error:
                        logger.debug("A prefetch job failed: %s", error)
                    finally:
                        self._running = None
            self._arrived = anyio.Event()
            await self._arrived.wait()

    async def _warm_up(self, job: PrefetchJob) -> None:
        """Prefill the prompt, then use its context."""
        engine, plan, context = await self._prompts.plan_with_new_context(job.client, job.request, job.settings)
        if plan is None:
            return
        await self._answer(job, engine, plan, replace(completion_call(plan, self._slo(job)), max_tokens=1))
        self._prompts.adopt(job.client, job.request.snapshot.uri, context)
        self.done += 1

    async def _complete(self, job: PrefetchJob, cache: TypeThroughCache) -> None:
        """Compute the completion and store it."""
        engine, plan = await self._prompts.plan(job.client, job.request, job.settings)
        if plan is None:
            return
        least = job.settings.completion.min_probability
        token_cache = self._prompts.cache(job.client, job.request, plan, job.settings)
        call = completion_call(plan, self._slo(job), least=least, cache=token_cache)
        completion = await self._answer(job, engine, plan, call, least)
        if completion is not None:
            cache.put_completion(job.request, completion)
        self.done += 1

    def _slo(self, job: PrefetchJob) -> Slo:
        return Slo(TaskKind.WARMUP, ServiceClass.BACKGROUND, self._clock(), math.inf, job.client)

    @staticmethod
    async def _answer(
        job: PrefetchJob, engine: Engine, plan: CompletionPlan, call: Call, least: float = 0.0
    ) -> Completion | None:
        answer = AnswerStream(job.request, plan, engine.submit(call), least)
        try:
            await answer.read(job.request, lambda _delta, _first: None)
        finally:
            await answer.close()
        return answer.completion(job.request)
