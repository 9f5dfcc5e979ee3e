"""``workspace/didChangeWatchedFiles``: a saved ``cato.toml`` takes effect at once.

The client watches the workspace where it can be asked to. The user's own file lies outside the workspace and is looked
at every `POLL` seconds, as are all files of a client that cannot watch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from lsprotocol import types

from cato_lsp.config import SETTINGS_FILE

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session

POLL = 2.0
"""Seconds between two checks of files that the client does not watch."""


async def did_change_watched_files(session: Session, _params: types.DidChangeWatchedFilesParams) -> None:
    """Apply the settings files if they have changed."""
    if await anyio.to_thread.run_sync(session.settings_changed):
        await session.apply_settings()


def watch_settings_files(session: Session) -> None:
    """Let the client watch the workspace's files if it can, and poll the other files."""
    workspace = session.capabilities.workspace
    watched = workspace.did_change_watched_files if workspace is not None else None
    client_watches = watched is not None and bool(watched.dynamic_registration)
    if client_watches:
        options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher(f"**/{SETTINGS_FILE}")])
        method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        registration = types.Registration("cato-settings-files", method, options)
        session.server.client_register_capability(types.RegistrationParams([registration]))

    async def poll() -> None:
        while True:
            await anyio.sleep(POLL)
            if await anyio.to_thread.run_sync(session.settings_changed, client_watches):
                await session.apply_settings()

    session.start(poll)
