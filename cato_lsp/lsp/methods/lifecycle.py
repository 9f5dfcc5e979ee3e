"""``initialize``, ``initialized``, ``shutdown``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from cato_lsp.lsp.methods.configuration import pull_configuration, watch_configuration
from cato_lsp.lsp.methods.did_change_watched_files import watch_files

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session


def initialize(session: Session, params: types.InitializeParams) -> None:
    """Store the client's parameters. pygls responds with the capabilities; nothing heavy is imported for it."""
    session.initialize(params)


def initialized(session: Session, _params: types.InitializedParams) -> None:
    """Read the settings and start the engine. What else the client says waits until the settings hold."""

    async def configure() -> None:
        try:
            await pull_configuration(session)
        finally:
            session.protocol.release()

    session.protocol.hold()
    session.status.open()
    watch_configuration(session)
    watch_files(session)
    session.start(configure)


def shutdown(session: Session, _params: None) -> None:
    """Free what the session owns; ``exit`` follows."""
    session.backend.leave(session)
