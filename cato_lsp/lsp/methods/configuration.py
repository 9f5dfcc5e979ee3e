"""``workspace/didChangeConfiguration``, ``workspace/configuration``, ``workspace/didChangeWorkspaceFolders``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from cato_lsp.config import SECTION

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session

logger = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a client has to answer ``workspace/configuration`` before the engine starts without it."""


def watch_configuration(session: Session) -> None:
    """Register for change notifications, which VS Code requires."""
    workspace = session.capabilities.workspace
    watched = workspace.did_change_configuration if workspace is not None else None
    if watched is not None and watched.dynamic_registration:
        registration = types.Registration(
            id="cato-configuration",
            method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
            register_options=types.DidChangeConfigurationRegistrationOptions(section=SECTION),
        )
        session.server.client_register_capability(types.RegistrationParams([registration]))


async def pull_configuration(session: Session) -> None:
    """Request the client's settings, if it supports that, and apply all layers."""
    workspace = session.capabilities.workspace
    pulled: object = None
    if workspace is not None and workspace.configuration:
        items = [types.ConfigurationItem(section=SECTION)]
        try:
            with anyio.move_on_after(PATIENCE):
                answer = await session.server.workspace_configuration_async(types.ConfigurationParams(items))
                pulled = answer[0] if answer else None
        except JsonRpcException as error:
            logger.warning("The client did not send its settings: %s", error)
    await session.apply_settings(pulled)


async def did_change_configuration(session: Session, params: types.DidChangeConfigurationParams) -> None:
    """Apply new settings: those in the notification, or else those that the client returns on request."""
    workspace = session.capabilities.workspace
    if workspace is not None and workspace.configuration:
        await pull_configuration(session)
        return
    await session.apply_settings(params.settings)


async def did_change_workspace_folders(session: Session, params: types.DidChangeWorkspaceFoldersParams) -> None:
    """Apply changes of the workspace folders."""
    await session.change_roots(params.event)
