"""Runs generate, summarize, explain and translate: admission, deadline, calls, record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import anyio.to_thread

from cato_lsp.config import SlaSettings
from cato_lsp.engine.api import Engine, EngineError, EngineUnavailableError
from cato_lsp.engine.host import EngineHost
from cato_lsp.orchestrator.admission import Verdict, admit, overfull
from cato_lsp.orchestrator.call_times import CallTimes, LengthRatio
from cato_lsp.orchestrator.deadlines import time_allowed
from cato_lsp.orchestrator.live import LiveTasks, Slot
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.orchestrator.record import Outcome, TaskLog, TaskRecord
from cato_lsp.orchestrator.task_calls import TaskCalls, TaskObserver
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.calls import CannotDoError
from cato_lsp.tasks.task import Task, TaskRequest, TaskResult

logger = logging.getLogger(__name__)


class RefusedError(Exception):
    """The task was not admitted, or the model cannot do it. The message tells the user why."""


class EndedError(Exception):
    """The task was ended from outside: superseded, or its document or client was closed."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


class TaskRunner:
    """Runs the tasks of all sessions, one per slot; see `LiveTasks`."""

    def __init__(
        self,
        host: EngineHost,
        prompters: Prompters,
        live: LiveTasks,
        log: TaskLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._prompters = prompters
        self._live = live
        self._log = log
        self._clock = clock
        self._length_ratio = LengthRatio()
        self.running: list[TaskCalls] = []
        """The admitted tasks that have not ended."""

    async def run_task(
        self, client: str, request: TaskRequest, sla: SlaSettings, observer: TaskObserver
    ) -> TaskResult | None:
        """Run a task to its end.

        Raises:
            RefusedError: the task was not admitted, or the model cannot do it.
            EndedError: the task was ended from outside.
            EngineError: the engine failed.
        """
        arrival = self._clock()
        record = TaskRecord(request.kind, client, deadline=0.0, outcome=Outcome.CANCELLED)
        result: TaskResult | None = None
        try:
            with self._live.take(Slot(client, request.uri, request.kind, request.place)) as live:
                engine = self._host.engine
                prompter = await self._prompters.coding(engine.folder, engine.context_length)
                task = await anyio.to_thread.run_sync(request.prepare, prompter)
                if task.note:
                    observer.note(task.note)
                result = await self._run_admitted(engine, task, arrival, sla, record, observer)
            record.outcome = live.ended_as or (Outcome.EMPTY if result is None else Outcome.ANSWERED)
        except (RefusedError, CannotDoError) as error:
            record.outcome = Outcome.REFUSED
            raise RefusedError(str(error)) from error
        except EngineUnavailableError:
            record.outcome = Outcome.UNAVAILABLE
            raise
        except EngineError as error:
            record.outcome = Outcome.FAILED
            logger.warning("A task failed: %s %s", error, error.remedy)
            raise
        finally:
            record.e2e = self._clock() - arrival
            self._log.add(record)
        if live.ended_as is not None:
            raise EndedError(live.ended_as)
        return result

    async def _run_admitted(
        self,
        engine: Engine,
        task: Task,
        arrival: float,
        sla: SlaSettings,
        record: TaskRecord,
        observer: TaskObserver,
    ) -> TaskResult | None:
        estimate = await anyio.to_thread.run_sync(task.estimate)
        record.deadline = time_allowed(sla, record.kind, estimate)
        record.e2e_deadline = record.kind is not TaskKind.GENERATION
        if refusal := overfull(record.client, self.running):
            raise RefusedError(refusal)
        due, service = arrival + record.deadline, ServiceClass.TTFT
        if record.e2e_deadline:
            service = ServiceClass.E2E
            times = CallTimes(engine.cost(), self._length_ratio.value)
            own, load = times.together(estimate), sum(map(times.load, estimate))
            admission = admit(record.client, own, load, record.deadline, self.running)
            if admission.verdict is Verdict.NO:
                raise RefusedError(admission.reason)
            # A task admitted for later gets a later deadline: the scheduler would count it as lost from the start.
            due = max(due, arrival + admission.expected)
            if admission.reason:
                observer.note(admission.reason)
        slo = Slo(record.kind, service, arrival, due, record.client)
        calls = TaskCalls(engine, slo, record, self._clock, estimate, self._length_ratio, observer)
        self.running.append(calls)
        try:
            return await task.run(calls)
        finally:
            self.running.remove(calls)
