"""Runs inline completions: an earlier answer if one fits, else prompt, call, stop rules and postprocessing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import anyio

from cato_lsp.config import Settings
from cato_lsp.engine.api import Delta, Engine, EngineError, EngineUnavailableError
from cato_lsp.orchestrator.answer_stream import AnswerStream, completion_call
from cato_lsp.orchestrator.live import LiveTask, LiveTasks, Slot
from cato_lsp.orchestrator.prompt_source import PromptSource
from cato_lsp.orchestrator.record import Outcome, Source, TaskLog, TaskRecord
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.completion import Completion, CompletionPlan, CompletionRequest
from cato_lsp.tasks.typethrough import TypeThroughCache

logger = logging.getLogger(__name__)

TEMPERATURE = 0.8
"""Sampling temperature of all candidates but the first, which is decoded greedily."""
_RECENT = 20


class CompletionRunner:
    """Runs completions for all sessions. Of one client and document, only the newest request runs."""

    def __init__(
        self, prompts: PromptSource, live: LiveTasks, log: TaskLog, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._prompts = prompts
        self._live = live
        self._log = log
        self._clock = clock
        self._ttfts: list[float] = []

    async def complete(
        self,
        client: str,
        request: CompletionRequest,
        settings: Settings,
        cache: TypeThroughCache,
    ) -> list[Completion]:
        """Answer a request.

        Returns an empty list when there is nothing to show: the request was superseded, no engine runs, or there is
        no sensible completion. Several completions only for a request that was invoked by the user.
        """
        arrival = self._clock()
        sla = settings.sla.completion_ttft_ms / 1000
        record = TaskRecord(TaskKind.COMPLETION, client, deadline=sla, outcome=Outcome.CANCELLED)
        weight = settings.sla.weights.of(TaskKind.COMPLETION)
        slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, arrival, arrival + sla, client, weight)
        slot = Slot(client, request.snapshot.uri)
        completions: list[Completion] = []
        previous = self._live.at(slot)
        try:
            with self._live.take(slot) as task:
                job = _Job(request, settings, slo, record, self._prompts, self._clock)
                completions = await self._complete(job, task, previous, cache)
            record.outcome = task.ended_as or (Outcome.ANSWERED if completions else Outcome.EMPTY)
        except EngineUnavailableError:
            record.outcome = Outcome.UNAVAILABLE
        except EngineError as error:
            record.outcome = Outcome.FAILED
            logger.warning("A completion failed: %s %s", error, error.remedy)
        finally:
            record.e2e = self._clock() - arrival
            self._log.add(record)
        if record.outcome is not Outcome.ANSWERED:
            return []
        if record.ttft is not None and record.source is Source.MODEL:
            self._ttfts = [*self._ttfts, record.ttft][-_RECENT:]
        cache.put_completion(request, completions[0])
        return completions

    async def _complete(
        self, job: _Job, task: LiveTask, previous: LiveTask | None, cache: TypeThroughCache
    ) -> list[Completion]:
        request = job.request
        if not request.invoked:
            if (known := cache.complete(request)) is not None:
                job.record.source = Source.CACHE
                return [known]
            if previous is not None and previous.answer is not None and previous.answer.fits(request):
                task.answer, previous.answer = previous.answer, None
                if (completion := await job.follow(task)) is not None:
                    return [completion]
            await self._debounce(job.settings)
        engine, plan = await self._prompts.plan(job.slo.client, request, job.settings)
        if plan is None:
            return []
        job.record.source = Source.MODEL
        if request.invoked and job.settings.completion.candidates > 1:
            return await job.several(engine, plan)
        return _present([await job.one(engine, plan, task)])

    async def _debounce(self, settings: Settings) -> None:
        """Wait for a pause in typing, less the usual time to the first token."""
        wait = settings.completion.debounce_ms / 1000
        if wait:
            await anyio.sleep(max(0.0, wait - (median(self._ttfts) if self._ttfts else 0.0)))


class _Job:
    """One running request."""

    def __init__(
        self,
        request: CompletionRequest,
        settings: Settings,
        slo: Slo,
        record: TaskRecord,
        prompts: PromptSource,
        clock: Callable[[], float],
    ) -> None:
        self.request = request
        self.settings = settings
        self.record = record
        self.slo = slo
        self._prompts = prompts
        self._clock = clock
        self._limit = slo.arrival + settings.completion.answer_ms / 1000

    async def follow(self, task: LiveTask) -> Completion | None:
        """Continue to read the answer to an earlier request, as long as it agrees with the typed text."""
        answer = task.answer
        assert answer is not None
        self.record.source = Source.STREAM
        if answer.begun:
            self.record.ttft = self._clock() - self.slo.arrival
        return await self._read(answer, task)

    async def one(self, engine: Engine, plan: CompletionPlan, task: LiveTask) -> Completion | None:
        """Call the model for one completion, which a newer request may take over."""
        task.answer = self._start(engine, plan)
        return await self._read(task.answer, task)

    async def several(self, engine: Engine, plan: CompletionPlan) -> list[Completion]:
        """Call the model for several candidates. The others start when the first has filled the prefix cache."""
        begun = anyio.Event()
        found: dict[int, Completion] = {}

        async def candidate(number: int) -> None:
            if number:
                await begun.wait()
            task = LiveTask(answer=self._start(engine, plan, number))
            try:
                completion = await self._read(task.answer, task, begun.set)
            except EngineError as error:
                failures.append(error)
                return
            finally:
                begun.set()
            if completion is not None:
                found[number] = completion

        failures: list[EngineError] = []
        async with anyio.create_task_group() as group:
            for number in range(self.settings.completion.candidates):
                group.start_soon(candidate, number)
        if failures and not found:
            raise failures[0]
        return _present([found.get(number) for number in range(self.settings.completion.candidates)])

    def _start(self, engine: Engine, plan: CompletionPlan, number: int = 0) -> AnswerStream:
        temperature, seed = (TEMPERATURE, number) if number else (0.0, None)
        least = 0.0 if self.request.invoked else self.settings.completion.min_probability
        cache = self._prompts.cache(self.slo.client, self.request, plan, self.settings)
        call = completion_call(plan, self.slo, temperature=temperature, seed=seed, least=least, cache=cache)
        stream = engine.submit(call)
        self.record.prompt_tokens += len(plan.prompt_ids)
        self.record.calls.append(stream.usage)
        return AnswerStream(self.request, plan, stream, least)

    async def _read(
        self, answer: AnswerStream | None, task: LiveTask, on_first: Callable[[], None] = lambda: None
    ) -> Completion | None:
        """Read until the answer is complete or time is up. Aborts the call, unless another task has it."""
        assert answer is not None
        agrees = True
        try:
            with anyio.move_on_after(self._limit - self._clock()):
                agrees = await answer.read(self.request, partial(self._count, on_first))
            completion = answer.completion(self.request) if agrees else None
            self.record.held_back = agrees and answer.cut and completion is None
            return completion
        finally:
            if task.answer is answer:
                await answer.close()
                task.answer = None

    def _count(self, on_first: Callable[[], None], delta: Delta, is_first: bool) -> None:
        if self.record.ttft is None:
            self.record.ttft = self._clock() - self.slo.arrival
        self.record.answer_tokens += delta.tokens
        if is_first:
            self.record.cached_tokens += delta.cached_prompt_tokens
            on_first()


def _present(completions: Sequence[Completion | None]) -> list[Completion]:
    """The completions without ``None`` and duplicates."""
    return list(dict.fromkeys(completion for completion in completions if completion is not None))
