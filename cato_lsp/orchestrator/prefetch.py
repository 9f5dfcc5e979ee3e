"""What is done for completions ahead of time, while nobody waits.

A document is read ahead when it is opened and when typing rests, so that the prefix cache holds the beginning of the
next prompt; other files' code is gathered then, too. The completion that would follow the one just shown is thought of
ahead, so that accepting one brings the next at once (llama.vim does this, too).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio

from cato_lsp.config import Settings
from cato_lsp.engine.api import Engine
from cato_lsp.engine.host import EngineHost
from cato_lsp.orchestrator.background import Ahead, Background
from cato_lsp.orchestrator.completion import Prepare
from cato_lsp.orchestrator.context import Contexts
from cato_lsp.orchestrator.idle import IdleWatch
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.supervise import supervise
from cato_lsp.tasks.completion import Completion, CompletionPlan, CompletionRequest
from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.tasks.fim import NO_CONTEXT
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.typethrough import TypeThroughCache

REST = 2.0
"""Seconds without a key after which a person rests."""


class Prefetcher:
    """Prepares completions: their prompts when they are asked for, and what can be done before.

    :param ready: waits for an engine.
    """

    def __init__(
        self,
        host: EngineHost,
        prompters: Prompters,
        clock: Callable[[], float],
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        self._host = host
        self._prompters = prompters
        self._contexts = Contexts()
        self._background = Background(clock, ready)
        self._idle = IdleWatch(clock, REST, self._rested)
        self._settings: dict[str, Settings] = {}

    async def run(self) -> None:
        """Do what is to be done ahead; until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(supervise, "The prefetch", self._background.run)
            group.start_soon(supervise, "The idle watch", self._idle.run)

    @property
    def done(self) -> int:
        """Pieces of work finished."""
        return self._background.done

    def open_folders(self, client: str, roots: Sequence[Path]) -> None:
        """Say which folders a client works in: what is imported is looked up there."""
        self._contexts.open_folders(client, roots)

    def asked(self, client: str, request: CompletionRequest, settings: Settings) -> Prepare:
        """What gives the engine and the plan for a request that somebody waits for."""
        self._settings[client] = settings
        self._contexts.look(client, request.snapshot, request.offset)
        self._idle.stir(client)
        return self._preparer(client, request, settings)

    def typed(self, client: str) -> None:
        """A key was pressed: what was begun ahead is out of date."""
        self._background.drop(client)

    def read_ahead(self, client: str, snapshot: Snapshot, offset: int, settings: Settings) -> None:
        """Read a document as a completion at ``offset`` would, and gather what other files tell."""
        exclusion = _exclusion(settings)
        if not (settings.completion.enabled and settings.completion.warm_up):
            return
        if exclusion.forbids_completion(snapshot.uri, snapshot.language, snapshot.text):
            return
        request = CompletionRequest(snapshot, offset, invoked=True)
        context = NO_CONTEXT

        async def prepare() -> tuple[Engine, CompletionPlan | None]:
            nonlocal context
            engine = self._host.engine
            prompter = await self._prompters.completion(engine.folder, settings.completion, engine.context_length)
            if prompter.reads_other_files:
                context = await self._contexts.gather(client, snapshot, offset, exclusion)
            return engine, prompter.plan(request, context)

        def hold() -> None:
            self._contexts.hold(client, snapshot.uri, context)

        self._background.put(Ahead(client, request, prepare, done=hold))

    def think_ahead(
        self,
        client: str,
        request: CompletionRequest,
        completion: Completion,
        settings: Settings,
        cache: TypeThroughCache,
    ) -> None:
        """Think of what would follow once the completion is accepted."""
        following = completion.follow_up(request)
        prepare = self._preparer(client, following, settings)
        self._background.put(Ahead(client, following, prepare, cache, settings.completion.least_confidence))

    def close_document(self, client: str, uri: str) -> None:
        """A document was closed."""
        self._contexts.forget_document(client, uri)

    def close_client(self, client: str) -> None:
        """Forget all of a client."""
        self._background.drop(client)
        self._idle.forget(client)
        self._contexts.forget(client)
        self._settings.pop(client, None)

    def _preparer(self, client: str, request: CompletionRequest, settings: Settings) -> Prepare:
        async def prepare() -> tuple[Engine, CompletionPlan | None]:
            engine = self._host.engine
            prompter = await self._prompters.completion(engine.folder, settings.completion, engine.context_length)
            context = self._contexts.held(client, request.snapshot.uri).allowed(_exclusion(settings))
            return engine, prompter.plan(request, context)

        return prepare

    def _rested(self, client: str) -> None:
        last, settings = self._contexts.last(client), self._settings.get(client)
        if last is not None and settings is not None:
            self.read_ahead(client, *last, settings)


def _exclusion(settings: Settings) -> Exclusion:
    return Exclusion(settings.disabled_languages, settings.disabled_globs)
