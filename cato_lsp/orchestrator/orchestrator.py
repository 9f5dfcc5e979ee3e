"""Turns editor requests into tasks with deadlines, and tasks into calls of the engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio

from cato_lsp.config import Settings
from cato_lsp.engine.api import EngineError, EngineStats
from cato_lsp.engine.host import EngineHost, EnginePhase, EngineStatus
from cato_lsp.orchestrator.completion import CompletionRunner
from cato_lsp.orchestrator.counters import AcceptCounters
from cato_lsp.orchestrator.deadlines import relaxed
from cato_lsp.orchestrator.live import LiveTasks
from cato_lsp.orchestrator.prefetch import Prefetcher
from cato_lsp.orchestrator.prompt_source import PromptSource, exclusion_of
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.orchestrator.record import TaskLog
from cato_lsp.orchestrator.task_calls import TaskObserver
from cato_lsp.orchestrator.task_runner import TaskRunner
from cato_lsp.supervise import supervise
from cato_lsp.tasks.completion import Completion, CompletionRequest
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.task import TaskRequest, TaskResult
from cato_lsp.tasks.translation import translations
from cato_lsp.tasks.typethrough import TypeThroughCache

logger = logging.getLogger(__name__)

TYPING_HINT = 1.0
"""Seconds after a keystroke in which another request of the same editor is likely."""


class Orchestrator:
    """Owns all live tasks of all sessions. All methods must be called on the event loop."""

    def __init__(self, host: EngineHost, clock: Callable[[], float] = time.monotonic) -> None:
        self.log = TaskLog()
        self.prompts_loaded = anyio.Event()
        """Set when the prompt formats of the first engine's model have been loaded."""
        self._host = host
        self._clock = clock
        self._live = LiveTasks()
        self._prompters = Prompters()
        self._tasks = TaskRunner(host, self._prompters, self._live, self.log, clock)
        self._prompts = PromptSource(host, self._prompters)
        self._completions = CompletionRunner(self._prompts, self._live, self.log, clock)
        self._prefetcher = Prefetcher(self._prompts, clock, lambda: self._until(ready=True))
        self._caches: dict[str, TypeThroughCache] = {}
        self._counters: dict[str, AcceptCounters] = {}

    async def run(self) -> None:
        """Load what a started engine needs, and prefetch; until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._prefetcher.run)
            group.start_soon(supervise, "The loading of prompt formats", self._load_prompts)

    async def _load_prompts(self) -> None:
        """Load the prompt formats of each engine's model when it is ready."""
        while True:
            await self._until(ready=True)
            try:
                engine = self._host.engine
                await self._prompters.coding(engine.folder, engine.context_length)
            except EngineError as error:
                logger.warning("%s %s", error, error.remedy)
            self.prompts_loaded.set()
            await self._until(ready=False)

    async def _until(self, *, ready: bool) -> None:
        """Wait until the engine is ready, or until it is not."""
        reached = anyio.Event()

        def look(status: EngineStatus) -> None:
            if (status.phase is EnginePhase.READY) is ready:
                reached.set()

        unwatch = self._host.watch(look)
        try:
            await reached.wait()
        finally:
            unwatch()

    async def complete(self, client: str, request: CompletionRequest, settings: Settings) -> list[Completion]:
        """Complete at a position; see `CompletionRunner.complete`. Excluded documents get no completions."""
        snapshot = request.snapshot
        if exclusion_of(settings).forbids_completion(snapshot.uri, snapshot.language, snapshot.text):
            return []
        self.counters(client).look(snapshot.uri, snapshot.text)
        cache, settings = self.cache(client), self.relaxed(settings)
        self._prompts.move_to(client, snapshot, request.offset)
        self._prompts.index(client, snapshot, settings)
        self._prefetcher.requested(client, settings)
        completions = await self._completions.complete(client, request, settings, cache)
        if completions and settings.completion.speculate:
            self._prefetcher.compute_follow_up(client, request, completions[0], settings, cache)
        return completions

    def opened(self, client: str, snapshot: Snapshot, settings: Settings) -> None:
        """Prefill a document that was opened: wherever the cursor goes, the text before it is in the prefix cache."""
        self._prefetcher.warm_up(client, snapshot, len(snapshot.text), settings)
        self._prompts.index(client, snapshot, settings)

    def files_changed(self, client: str, uris: Sequence[str], settings: Settings) -> None:
        """Take in that files that are not open were created, changed or deleted. Returns at once."""
        self._prompts.reread(client, uris, settings)

    def open_folders(self, client: str, roots: Sequence[Path]) -> None:
        """Set the folders that a client works in."""
        self._prompts.open_folders(client, roots)

    async def run_task(
        self, client: str, request: TaskRequest, settings: Settings, observer: TaskObserver
    ) -> TaskResult | None:
        """Run a task to its end; see `TaskRunner.run_task`."""
        return await self._tasks.run_task(client, request, self.relaxed(settings).sla, observer)

    def relaxed(self, settings: Settings) -> Settings:
        """The settings with the deadlines that this machine can meet; see `deadlines.relaxed`."""
        ready = self._host.status.phase is EnginePhase.READY
        return relaxed(settings, self._host.engine.cost()) if ready else settings

    def translations(self, language: str) -> list[str]:
        """The languages that the loaded model can translate ``language`` to; empty while none is loaded."""
        if self._host.status.phase is not EnginePhase.READY:
            return []
        engine = self._host.engine
        prompter = self._prompters.known(engine.folder)
        return [] if prompter is None else translations(prompter, language)

    def cache(self, client: str) -> TypeThroughCache:
        """The last answers of a client."""
        return self._caches.setdefault(client, TypeThroughCache())

    def counters(self, client: str) -> AcceptCounters:
        """How many completions a client was shown and accepted."""
        return self._counters.setdefault(client, AcceptCounters(clock=self._clock))

    def typing(self, client: str) -> None:
        """A key was pressed: drop prefetching and tell the scheduler to expect an urgent call."""
        self._prefetcher.typed(client)
        if self._host.status.phase is EnginePhase.READY:
            self._host.engine.hint(client, self._clock() + TYPING_HINT)

    def close_document(self, client: str, uri: str) -> None:
        """Abort the tasks of a closed document."""
        self._live.end_document(client, uri)
        self._prompts.close_document(client, uri)
        self.cache(client).forget(uri)

    def close_client(self, client: str) -> None:
        """Abort all tasks of a client and forget it."""
        self._live.end_client(client)
        self._prefetcher.close_client(client)
        self._prompts.close_client(client)
        self._caches.pop(client, None)
        self._counters.pop(client, None)

    @property
    def live_count(self) -> int:
        """Number of running tasks."""
        return len(self._live)

    def engine_stats(self) -> EngineStats:
        """The engine's counters; zeros when none runs."""
        return self._host.engine.stats() if self._host.status.phase is EnginePhase.READY else EngineStats()
