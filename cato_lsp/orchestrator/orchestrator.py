"""Turns what editors ask into tasks with promises, and tasks into calls of the engine."""

from __future__ import annotations

import time
from collections.abc import Callable

from cato_lsp.config import Settings
from cato_lsp.engine.api import Engine, EngineStats
from cato_lsp.engine.host import EngineHost, EnginePhase
from cato_lsp.orchestrator.completion import CompletionRunner
from cato_lsp.orchestrator.live import LiveTasks
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.orchestrator.record import TaskLog
from cato_lsp.tasks.completion import Completion, CompletionPlan, CompletionRequest

TYPING_HINT = 1.0
"""Seconds after a keystroke in which the next request of that editor is likely."""


class Orchestrator:
    """Owns every live task of every session. All methods belong to the event loop."""

    def __init__(self, host: EngineHost, clock: Callable[[], float] = time.monotonic) -> None:
        self.log = TaskLog()
        self._host = host
        self._clock = clock
        self._live = LiveTasks()
        self._completions = CompletionRunner(self._live, self.log, clock)
        self._prompters = Prompters()

    async def complete(self, client: str, request: CompletionRequest, settings: Settings) -> list[Completion]:
        """Complete at a position; see `CompletionRunner.run`."""

        async def prepare() -> tuple[Engine, CompletionPlan | None]:
            engine = self._host.engine
            prompter = await self._prompters.completion(engine.folder, settings.completion, engine.context_length)
            return engine, prompter.plan(request)

        return await self._completions.run(client, request, settings, prepare)

    def typing(self, client: str) -> None:
        """A key was pressed: let the scheduler keep its steps short."""
        if self._host.status.phase is EnginePhase.READY:
            self._host.engine.hint(client, self._clock() + TYPING_HINT)

    def close_document(self, client: str, uri: str) -> None:
        """Abort what runs for a closed document."""
        self._live.end_document(client, uri)

    def close_client(self, client: str) -> None:
        """Abort all that a client owns."""
        self._live.end_client(client)

    @property
    def live_count(self) -> int:
        """Tasks that run now."""
        return len(self._live)

    def engine_stats(self) -> EngineStats:
        """The engine's counters; zeros when none runs."""
        return self._host.engine.stats() if self._host.status.phase is EnginePhase.READY else EngineStats()
