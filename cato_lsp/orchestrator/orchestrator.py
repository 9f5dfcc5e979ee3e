"""Turns what editors ask into tasks with promises, and tasks into calls of the engine."""

from __future__ import annotations

import time
from collections.abc import Callable

from cato_lsp.config import Settings
from cato_lsp.engine.api import Engine, EngineStats
from cato_lsp.engine.host import EngineHost, EnginePhase
from cato_lsp.orchestrator.completion import CompletionRunner
from cato_lsp.orchestrator.counters import AcceptCounters
from cato_lsp.orchestrator.live import LiveTasks
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.orchestrator.record import TaskLog
from cato_lsp.tasks.completion import Completion, CompletionPlan, CompletionRequest
from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.tasks.typethrough import TypeThroughCache

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
        self._caches: dict[str, TypeThroughCache] = {}
        self._counters: dict[str, AcceptCounters] = {}

    async def complete(self, client: str, request: CompletionRequest, settings: Settings) -> list[Completion]:
        """Complete at a position; see `CompletionRunner.run`. Documents that are excluded get nothing."""
        snapshot = request.snapshot
        exclusion = Exclusion(settings.disabled_languages, settings.disabled_globs)
        if exclusion.forbids_completion(snapshot.uri, snapshot.language, snapshot.text):
            return []

        async def prepare() -> tuple[Engine, CompletionPlan | None]:
            engine = self._host.engine
            prompter = await self._prompters.completion(engine.folder, settings.completion, engine.context_length)
            return engine, prompter.plan(request)

        return await self._completions.run(client, request, settings, self.cache(client), prepare)

    def cache(self, client: str) -> TypeThroughCache:
        """A client's last answers."""
        return self._caches.setdefault(client, TypeThroughCache())

    def counters(self, client: str) -> AcceptCounters:
        """What became of a client's completions."""
        return self._counters.setdefault(client, AcceptCounters())

    def typing(self, client: str) -> None:
        """A key was pressed: let the scheduler keep its steps short."""
        if self._host.status.phase is EnginePhase.READY:
            self._host.engine.hint(client, self._clock() + TYPING_HINT)

    def close_document(self, client: str, uri: str) -> None:
        """Abort what runs for a closed document."""
        self._live.end_document(client, uri)
        self.cache(client).forget(uri)

    def close_client(self, client: str) -> None:
        """Abort all that a client owns."""
        self._live.end_client(client)
        self._caches.pop(client, None)
        self._counters.pop(client, None)

    @property
    def live_count(self) -> int:
        """Tasks that run now."""
        return len(self._live)

    def engine_stats(self) -> EngineStats:
        """The engine's counters; zeros when none runs."""
        return self._host.engine.stats() if self._host.status.phase is EnginePhase.READY else EngineStats()
