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
    """Read the settings and start the engine. Other messages wait until the settings are loaded."""

    async def configure() -> None:
        try:
            await pull_configuration(session)
        finally:
            session.protocol.release()
            if session.ended.is_set() and session.group is not None:
                session.group.cancel_scope.cancel()  # `exit` was among them; the reading loop waits for more

    session.protocol.hold()
    session.status.open()
    watch_configuration(session)
    watch_files(session)
    session.start(configure)


def shutdown(session: Session, _params: None) -> None:
    """Free what the session owns; ``exit`` follows."""
    session.backend.leave(session)
