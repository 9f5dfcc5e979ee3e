"""Runs generate, summarize, explain and translate: admission, promise, calls, record."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from cato_lsp.config import SlaSettings
from cato_lsp.engine.api import Engine, EngineError, EngineUnavailableError
from cato_lsp.orchestrator.admission import Verdict, admit, overfull
from cato_lsp.orchestrator.live import LiveTasks, Slot
from cato_lsp.orchestrator.pace import Pace
from cato_lsp.orchestrator.record import Outcome, TaskLog, TaskRecord
from cato_lsp.orchestrator.workflow import TaskCalls
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.calls import Calls, CannotDoError, Work
from cato_lsp.tasks.prompts import Prompter

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class RefusedError(Exception):
    """The task was not admitted, or cannot be done; the message says why, to a person."""


class EndedError(Exception):
    """The task was ended from outside: superseded, or its document or client went away."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Plan(Generic[Result]):
    """What a task will do."""

    foreseen: Sequence[Work]
    run: Callable[[Calls], Awaitable[Result]]
    note: str = ""
    """What a person should know before it begins."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """Is told how a task goes on."""

    note: Callable[[str], None] = lambda _text: None
    """A sentence for the person: why it takes longer, or does less."""
    tokens: Callable[[int], None] = lambda _tokens: None


@dataclass(frozen=True, slots=True)
class Running:
    """A task that runs, as admission sees it."""

    kind: TaskKind
    client: str
    calls: TaskCalls

    @property
    def load(self) -> float:
        return self.calls.load


class WorkRunner:
    """Runs such tasks for all sessions; the same one asked for again takes the place of the former."""

    def __init__(self, live: LiveTasks, log: TaskLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._live = live
        self._log = log
        self._clock = clock
        self.pace = Pace()
        """How fast the engine is, as busy as it is."""
        self.ahead: list[Running] = []
        """The tasks that run now."""

    async def run(
        self,
        slot: Slot,
        sla: SlaSettings,
        prepare: Callable[[], Awaitable[tuple[Engine, Prompter]]],
        plan: Callable[[Prompter], Plan[Result]],
        watcher: Watcher,
    ) -> Result:
        """Run a task to its end, and return what its plan's ``run`` does.

        Raises:
            RefusedError: it is not taken on, or cannot be done.
            EndedError: it was ended from outside.
            EngineError: the engine failed.
        """
        arrival = self._clock()
        record = TaskRecord(slot.kind, slot.client, deadline=0.0, outcome=Outcome.CANCELLED)
        results: list[Result] = []
        try:
            with self._live.take(slot) as task:
                engine, prompter = await prepare()
                planned = plan(prompter)
                if planned.note:
                    watcher.note(planned.note)
                record.deadline = promised(sla, slot.kind, planned.foreseen)
                record.e2e_promised = slot.kind is not TaskKind.GENERATION
                results.append(await self._admitted(engine, slot, planned, arrival, record, watcher))
            record.outcome = task.ended_as or (Outcome.EMPTY if results[0] is None else Outcome.ANSWERED)
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
        if task.ended_as is not None:
            raise EndedError(task.ended_as)
        return results[0]

    async def _admitted(
        self,
        engine: Engine,
        slot: Slot,
        plan: Plan[Result],
        arrival: float,
        record: TaskRecord,
        watcher: Watcher,
    ) -> Result:
        if refusal := overfull(slot.client, self.ahead):
            raise RefusedError(refusal)
        due, service = arrival + record.deadline, ServiceClass.TTFT
        if record.e2e_promised:
            service = ServiceClass.E2E
            own, load = self.pace.together(plan.foreseen), sum(map(self.pace.load, plan.foreseen))
            admission = admit(slot.client, own, load, record.deadline, self.ahead)
            if admission.verdict is Verdict.NO:
                raise RefusedError(admission.reason)
            # Taken on for later, its calls are planned for then: they would else count as lost from the start.
            due = max(due, arrival + admission.expected)
            if admission.reason:
                watcher.note(admission.reason)
        slo = Slo(slot.kind, service, arrival, due, slot.client)
        calls = TaskCalls(engine, slo, record, self.pace, self._clock, plan.foreseen, watcher.tokens)
        running = Running(slot.kind, slot.client, calls)
        self.ahead.append(running)
        try:
            return await plan.run(calls)
        finally:
            self.ahead.remove(running)


def promised(sla: SlaSettings, kind: TaskKind, foreseen: Sequence[Work]) -> float:
    """Seconds that are promised for a task: to its first token (generation) or to its end, more for a long input."""
    tokens = sum(work.prompt_tokens for work in foreseen)
    match kind:
        case TaskKind.SUMMARIZATION:
            return (sla.summarization_e2e_ms + tokens * sla.summarization_token_ms) / 1000
        case TaskKind.TRANSLATION:
            return (sla.translation_e2e_ms + tokens * sla.translation_token_ms) / 1000
        case _:
            return sla.generation_ttft_ms / 1000
