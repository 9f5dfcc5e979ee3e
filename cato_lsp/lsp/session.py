"""One editor connection: its documents, settings and tasks."""

from __future__ import annotations

import itertools
import logging
import shutil
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.abc
import anyio.to_thread
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from cato_lsp import __version__
from cato_lsp.config import Layer, SettingProblem, Settings, load_settings, settings_files
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.documents import Document, Documents
from cato_lsp.lsp.messages import brief
from cato_lsp.lsp.positions import Encoding
from cato_lsp.lsp.privacy import keep_bodies_out_of_the_log
from cato_lsp.lsp.process import ClientProcess
from cato_lsp.lsp.protocol import SessionProtocol
from cato_lsp.lsp.settings_files import SettingsFiles
from cato_lsp.lsp.status import StatusReporter
from cato_lsp.supervise import traceback_of
from cato_lsp.tasks.exclusion import Exclusion

logger = logging.getLogger(__name__)

_numbers = itertools.count(1)
_SHOWN_PROBLEMS = 3
"""Number of problems in the settings that are shown as separate messages."""


class SessionServer(LanguageServer):
    """The pygls side of a session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        keep_bodies_out_of_the_log()
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  pygls leaves *args untyped
            "cato-lsp", __version__, protocol_cls=SessionProtocol, max_workers=1
        )

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log the error. (pygls would show a message box for each error of the client.)

        An error of the client, or a refused request, takes one line; an error in this program has its traceback.
        """
        cause = sys.exception() or error
        name = getattr(source, "__name__", source)
        if isinstance(cause, JsonRpcException):
            logger.warning("%s: %s", name, type(cause).__name__)
        else:
            logger.error("%s\n%s", name, traceback_of(cause))

    def window_show_message(self, params: types.ShowMessageParams) -> None:
        """Show a message of at most two lines."""
        super().window_show_message(types.ShowMessageParams(params.type, brief(params.message)))


class Session:
    """The state of one editor window. Sessions share nothing but the backend."""

    def __init__(self, backend: Backend, overrides: Layer | None = None) -> None:
        self.client = f"session-{next(_numbers)}"
        self.backend = backend
        self.server = SessionServer(self)
        self.documents = Documents(Encoding(None))
        self.settings = Settings()
        self.status = StatusReporter(self.server, backend.host)
        self.ended = threading.Event()
        """Set by ``exit``; the reading loop checks it."""
        self.exit_code = 1
        self.initialized = anyio.Event()
        self._process: ClientProcess | None = None
        self.cancellable: dict[str, anyio.CancelScope] = {}
        """Running tasks by the token of their progress."""
        self.group: anyio.abc.TaskGroup | None = None
        """Runs the session's tasks; it exists as long as the connection."""
        self._scratch: Path | None = None
        self._roots: list[Path] = []
        self._options: object = None
        self._pulled: object = None
        self._overrides = overrides
        self._files = SettingsFiles()
        self._applying = anyio.Lock()

    @property
    def capabilities(self) -> types.ClientCapabilities:
        """What the client announced."""
        return self.server.client_capabilities

    @property
    def root(self) -> Path:
        """The first folder of the workspace, or the current one."""
        return self._roots[0] if self._roots else Path.cwd()

    @property
    def protocol(self) -> SessionProtocol:
        """The JSON-RPC side."""
        return cast("SessionProtocol", self.server.protocol)

    def initialize(self, params: types.InitializeParams) -> None:
        """Store the client's parameters. Must not wait, since the response follows."""
        self._process = ClientProcess(params.process_id)
        self.initialized.set()
        self.documents = Documents(Encoding(self.server.workspace.position_encoding))
        self._options = params.initialization_options
        uris = [folder.uri for folder in params.workspace_folders or []] or [params.root_uri]
        self._roots = [Path(path) for uri in uris if uri and (path := to_fs_path(uri))]

    async def abandoned(self) -> None:
        """Wait for the end of the client's process."""
        await self.initialized.wait()
        assert self._process is not None
        await self._process.ended()
        logger.info("The client's process has ended")

    async def change_roots(self, event: types.WorkspaceFoldersChangeEvent) -> None:
        """Apply changes of the workspace's folders, and read the settings again."""
        removed = {to_fs_path(folder.uri) for folder in event.removed}
        kept = [root for root in self._roots if str(root) not in removed]
        added = [Path(path) for folder in event.added if (path := to_fs_path(folder.uri))]
        self._roots = [*kept, *added]
        await self.apply_settings()

    async def apply_settings(self, pulled: object = None) -> None:
        """Read all layers of settings again and apply them.

        Overlapping calls take effect one after the other, each with the latest values.

        :param pulled: the client's current configuration; ``None``: unchanged.
        """
        if pulled is not None:
            self._pulled = pulled
        async with self._applying:
            files, problems = await anyio.to_thread.run_sync(self._files.read, settings_files(self._roots))
            if self.ended.is_set():
                return
            layers = [
                *files,
                Layer("initializationOptions", self._options),
                Layer("workspace/configuration", self._pulled),
            ]
            if self._overrides is not None:
                layers.append(self._overrides)
            self.settings, found = load_settings(layers)
            self.status.completion_enabled = self.settings.completion.enabled
            self.backend.orchestrator.open_folders(self.client, self._roots)
            self._show_problems([*problems, *found])
            await self.backend.use(self)

    def _show_problems(self, problems: list[SettingProblem]) -> None:
        texts = [str(problem) for problem in problems[:_SHOWN_PROBLEMS]]
        if len(problems) > _SHOWN_PROBLEMS:
            texts.append(f"{len(problems)} problems in total; `cato-lsp settings` lists them.")
        self.status.warn_of([f"cato settings: {text}" for text in texts])

    def warn(self, text: str) -> None:
        """Show a warning."""
        self.status.warn(f"Cato: {text}")

    def settings_changed(self, only_user: bool = False) -> bool:
        """Whether a ``cato.toml`` has changed since it was read; ``only_user``: check only the user's own."""
        return self._files.changed(settings_files([] if only_user else self._roots))

    @property
    def exclusion(self) -> Exclusion:
        """The rules that exclude documents from the model."""
        return Exclusion(self.settings.disabled_languages, self.settings.disabled_globs)

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` concurrently. It is cancelled when the session ends; its errors are logged."""

        async def guarded() -> None:
            try:
                await work()
            except Exception as error:  # an error in a task must not end the session
                logger.error("A task of the session failed\n%s", traceback_of(error))

        if self.group is not None:
            self.group.start_soon(guarded)

    def scratch_folder(self) -> Path:
        """A folder that only this user can read, removed when the session ends."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="cato-"))
        return self._scratch

    def opened(self, document: Document) -> None:
        """A document was opened: it will probably be edited."""
        self.backend.orchestrator.opened(self.client, document.snapshot(), self.settings)

    def typed(self) -> None:
        """A document was edited: an urgent request is likely."""
        self.backend.orchestrator.typing(self.client)

    def closed(self, uri: str) -> None:
        """A document was closed: its completion is no longer needed."""
        self.backend.orchestrator.close_document(self.client, uri)

    async def stop(self, why: str | None) -> None:
        """End the session from the server's side: abort tasks, answer open requests, and show ``why`` in the editor."""
        if why is not None and self.initialized.is_set():
            self.status.stopped(why)
        self.end(exit_code=0)
        await self.protocol.answered()

    def end(self, exit_code: int) -> None:
        """Free the session's resources. Idempotent."""
        if not self.ended.is_set():
            self.ended.set()
            self.exit_code = exit_code
            self.status.close()
            self.backend.leave(self)
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)
