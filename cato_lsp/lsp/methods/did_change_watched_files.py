"""``workspace/didChangeWatchedFiles``: a saved ``cato.toml`` takes effect at once, changed code is indexed again.

The client watches the workspace where it can be asked to. The user's own file lies outside the workspace and is looked
at every `POLL` seconds, as are all settings files of a client that cannot watch.
"""

from __future__ import annotations

from posixpath import splitext
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread
from lsprotocol import types

from cato_lsp.config import SETTINGS_FILE
from cato_lsp.workspace.files import SUFFIXES

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session

POLL = 2.0
"""Seconds between two checks of settings files that the client does not watch."""
_AT_ONCE = 50
"""Files per turn of the event loop. A Git checkout may change thousands."""


async def did_change_watched_files(session: Session, params: types.DidChangeWatchedFilesParams) -> None:
    """Apply the settings files if they have changed, and index code files that other programs have changed.

    Open documents are left out: their text in the editor is indexed, not the one on disk.
    """
    for start in range(0, len(params.changes), _AT_ONCE):
        uris = [change.uri for change in params.changes[start : start + _AT_ONCE]]
        code = [uri for uri in uris if splitext(uri)[1].lower() in SUFFIXES and uri not in session.documents]
        session.backend.orchestrator.files_changed(session.client, code, session.settings)
        await anyio.lowlevel.checkpoint()
    if await anyio.to_thread.run_sync(session.settings_changed):
        await session.apply_settings()


def watch_files(session: Session) -> None:
    """Let the client watch the workspace's files if it can, and poll the other files."""
    workspace = session.capabilities.workspace
    watched = workspace.did_change_watched_files if workspace is not None else None
    client_watches = watched is not None and bool(watched.dynamic_registration)
    if client_watches:
        suffixes = ",".join(sorted(suffix.removeprefix(".") for suffix in SUFFIXES))
        globs = (f"**/{SETTINGS_FILE}", f"**/*.{{{suffixes}}}")
        options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher(glob) for glob in globs])
        method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        registration = types.Registration("cato-watched-files", method, options)
        session.server.client_register_capability(types.RegistrationParams([registration]))

    async def poll() -> None:
        while True:
            await anyio.sleep(POLL)
            if await anyio.to_thread.run_sync(session.settings_changed, client_watches):
                await session.apply_settings()

    session.start(poll)
