"""The one place where methods are registered with pygls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from lsprotocol import types

from cato_lsp.lsp.methods import configuration, feedback, inline_completion, lifecycle, status

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session


class Feature(NamedTuple):
    """A method, its handler (session, params), and the options that announce it."""

    method: str
    handler: Callable[[Session, Any], Any]
    options: Any = None


class Command(NamedTuple):
    """A command of ``workspace/executeCommand``, and its handler (session, arguments)."""

    name: str
    handler: Callable[[Session, list[Any]], Any]


FEATURES = (
    Feature(types.INITIALIZE, lifecycle.initialize),
    Feature(types.INITIALIZED, lifecycle.initialized),
    Feature(types.SHUTDOWN, lifecycle.shutdown),
    Feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION, configuration.did_change_configuration),
    Feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS, configuration.did_change_workspace_folders),
    # Without options pygls does not announce the capability.
    Feature(
        types.TEXT_DOCUMENT_INLINE_COMPLETION,
        inline_completion.inline_completion,
        types.InlineCompletionOptions(),
    ),
    Feature(feedback.DID_SHOW, feedback.did_show),
    Feature(feedback.DID_PARTIALLY_ACCEPT, feedback.did_partially_accept),
    Feature(status.STATUS, status.status),
)

COMMANDS = (Command(feedback.DID_ACCEPT, feedback.did_accept),)


def register_features(session: Session) -> None:
    """Register every method and command for one session."""
    for feature in FEATURES:
        session.server.feature(feature.method, feature.options)(partial(feature.handler, session))
    for command in COMMANDS:
        session.server.command(command.name)(partial(_run_command, command.handler, session))


def _run_command(handler: Callable[[Session, list[Any]], Any], session: Session, *arguments: Any) -> Any:
    return handler(session, list(arguments))
