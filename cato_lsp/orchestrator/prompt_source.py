"""Builds the prompts of completions, for requests and for prefetching alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from cato_lsp.config import Settings
from cato_lsp.engine.api import Engine, TokenCache
from cato_lsp.engine.host import EngineHost, EnginePhase
from cato_lsp.orchestrator.context import Contexts
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.orchestrator.workspaces import Workspaces
from cato_lsp.tasks.completion import CompletionPlan, CompletionPrompter, CompletionRequest
from cato_lsp.tasks.context import FileContext
from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.tasks.fim import NO_CONTEXT
from cato_lsp.tasks.snapshot import Snapshot


class PromptSource:
    """Combines the running engine, its prompt format and the code of other files.

    The code of other files in a document's prompts changes only in `adopt`, which is called after the new prompt has
    been prefilled. No keystroke pays for the change.
    """

    def __init__(self, host: EngineHost, prompters: Prompters) -> None:
        self._host = host
        self._prompters = prompters
        self._contexts = Contexts()
        self._lines: dict[str, tuple[str, int]] = {}
        """Document and line of each client's last plan."""
        self._workspaces = Workspaces()

    async def plan(
        self, client: str, request: CompletionRequest, settings: Settings
    ) -> tuple[Engine, CompletionPlan | None]:
        """The engine and the prompt of a request, with the context that is in use. Reads no file.

        The plan is ``None`` where no sensible completion can be offered.

        Raises:
            EngineError: no engine is running, or its model cannot complete code.
        """
        engine, prompter = await self._prepare(settings)
        context = self._contexts.held(client, request.snapshot.uri).allowed(exclusion_of(settings))
        line = (request.snapshot.uri, request.snapshot.line_start(request.offset))
        if self._lines.get(client) == line:
            # Typing goes on in a line whose surroundings are tokenized already: less than a millisecond.
            return engine, prompter.plan(request, context)
        plan = await anyio.to_thread.run_sync(prompter.plan, request, context)
        self._lines[client] = line
        return engine, plan

    async def plan_with_new_context(
        self, client: str, request: CompletionRequest, settings: Settings
    ) -> tuple[Engine, CompletionPlan | None, FileContext]:
        """Like `plan`, with context that is gathered now; `adopt` puts it to use."""
        engine, prompter = await self._prepare(settings)
        context = NO_CONTEXT
        if prompter.reads_other_files:
            context = await self._contexts.gather(client, request.snapshot, request.offset, exclusion_of(settings))
        return engine, await anyio.to_thread.run_sync(prompter.plan, request, context), context

    def cache(
        self, client: str, request: CompletionRequest, plan: CompletionPlan, settings: Settings
    ) -> TokenCache | None:
        """The cache model of a request's call."""
        return self._workspaces.cache(client, self._host.engine.folder, plan, request.snapshot, settings)

    def index(self, client: str, snapshot: Snapshot, settings: Settings) -> None:
        """Index a document as it is now, for later calls. Returns at once."""
        if self._host.status.phase is EnginePhase.READY:
            self._workspaces.change(client, self._host.engine.folder, snapshot, settings)

    def reread(self, client: str, uris: Sequence[str], settings: Settings) -> None:
        """Index files that other programs have changed. Returns at once."""
        if self._host.status.phase is EnginePhase.READY:
            self._workspaces.reread(client, self._host.engine.folder, uris, settings)

    def adopt(self, client: str, uri: str, context: FileContext) -> None:
        """Use ``context`` in the prompts of a document from now on."""
        self._contexts.hold(client, uri, context)

    def open_folders(self, client: str, roots: Sequence[Path]) -> None:
        """Set the folders in which a client's imports are looked up, and whose code is indexed."""
        self._contexts.open_folders(client, roots)
        self._workspaces.open_folders(client, roots)

    def move_to(self, client: str, snapshot: Snapshot, offset: int) -> None:
        """Note the position of a client's cursor. The code around the previous position becomes context."""
        self._contexts.look(client, snapshot, offset)

    def position(self, client: str) -> tuple[Snapshot, int] | None:
        """The last position of a client's cursor."""
        return self._contexts.last(client)

    def close_document(self, client: str, uri: str) -> None:
        """Forget the context of a document that was closed, and its text that was not saved."""
        self._contexts.forget_document(client, uri)
        self._workspaces.close_document(client, uri)

    def close_client(self, client: str) -> None:
        """Forget the context of a client that has gone."""
        self._contexts.forget(client)
        self._lines.pop(client, None)
        self._workspaces.close_client(client)

    async def _prepare(self, settings: Settings) -> tuple[Engine, CompletionPrompter]:
        engine = self._host.engine
        return engine, await self._prompters.completion(engine.folder, settings.completion, engine.context_length)


def exclusion_of(settings: Settings) -> Exclusion:
    """The documents that no model sees under these settings."""
    return Exclusion(settings.disabled_languages, settings.disabled_globs)
