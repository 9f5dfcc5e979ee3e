"""One inline completion: prompt, call, stop, shape, within its promise."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

import anyio

from cato_lsp.config import Settings
from cato_lsp.engine.api import Call, Engine, EngineError, EngineUnavailableError
from cato_lsp.orchestrator.live import LiveTasks, Slot
from cato_lsp.orchestrator.record import Outcome, TaskLog, TaskRecord
from cato_lsp.scheduling.promise import Promise, ServiceClass, TaskKind
from cato_lsp.tasks.completion import Completion, CompletionPlan, CompletionRequest

logger = logging.getLogger(__name__)


class CompletionRunner:
    """Runs completions for all sessions; of one client and document only the newest."""

    def __init__(self, live: LiveTasks, log: TaskLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._live = live
        self._log = log
        self._clock = clock

    async def run(
        self,
        client: str,
        request: CompletionRequest,
        settings: Settings,
        prepare: Callable[[], Awaitable[tuple[Engine, CompletionPlan | None]]],
    ) -> list[Completion]:
        """Answer a request; ``prepare`` gives the engine and the plan when the request is due.

        Returns an empty list when there is nothing to show: superseded, no engine, or no sensible completion.
        """
        arrival = self._clock()
        sla = settings.sla.completion_ttft_ms / 1000
        record = TaskRecord(TaskKind.COMPLETION, client, deadline=sla, outcome=Outcome.CANCELLED)
        promise = Promise(TaskKind.COMPLETION, ServiceClass.TTFT, arrival, arrival + sla, client)
        answer: Completion | None = None
        try:
            with self._live.take(Slot(client, request.snapshot.uri)) as task:
                if settings.completion.debounce_ms and not request.invoked:
                    await anyio.sleep(settings.completion.debounce_ms / 1000)
                engine, plan = await prepare()
                if plan is not None:
                    limit = arrival + settings.completion.answer_ms / 1000
                    answer = await self._answer(engine, plan, promise, limit, record)
            record.outcome = task.ended_as or (Outcome.EMPTY if answer is None else Outcome.ANSWERED)
        except EngineUnavailableError:
            record.outcome = Outcome.UNAVAILABLE
        except EngineError as error:
            record.outcome = Outcome.FAILED
            logger.warning("A completion failed: %s %s", error, error.remedy)
        finally:
            record.e2e = self._clock() - arrival
            self._log.add(record)
        return [answer] if answer is not None and record.outcome is Outcome.ANSWERED else []

    async def _answer(
        self, engine: Engine, plan: CompletionPlan, promise: Promise, limit: float, record: TaskRecord
    ) -> Completion | None:
        """Read the call's stream until the completion is complete or its time is up."""
        call = Call(tuple(plan.prompt_ids), promise, plan.max_tokens, tuple(plan.stop_token_ids))
        record.prompt_tokens = len(plan.prompt_ids)
        text = plan.stream()
        complete = False
        async with engine.submit(call) as deltas:
            record.usage = deltas.usage
            with anyio.move_on_after(limit - self._clock()):
                async for delta in deltas:
                    if record.ttft is None:
                        record.ttft = self._clock() - promise.arrival
                        record.cached_tokens = delta.cached_prompt_tokens
                    record.answer_tokens += delta.tokens
                    complete = text.feed(delta.text) or delta.finish_reason == "stop"
                    if complete:
                        break
        return text.result(cut=not complete)
