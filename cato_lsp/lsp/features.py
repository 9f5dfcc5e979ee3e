"""Registers all LSP methods and commands with pygls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from lsprotocol import types

from cato_lsp.lsp import progress
from cato_lsp.lsp.assist import Assist
from cato_lsp.lsp.methods import (
    code_action,
    configuration,
    did_change_watched_files,
    document_text,
    execute_command,
    feedback,
    inline_completion,
    lifecycle,
    status,
)

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
    Feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES, did_change_watched_files.did_change_watched_files),
    # Without options pygls does not announce the capability.
    Feature(
        types.TEXT_DOCUMENT_INLINE_COMPLETION,
        inline_completion.inline_completion,
        types.InlineCompletionOptions(),
    ),
    Feature(types.TEXT_DOCUMENT_CODE_ACTION, code_action.code_action, code_action.OPTIONS),
    Feature(types.CODE_ACTION_RESOLVE, code_action.resolve),
    Feature(types.WINDOW_WORK_DONE_PROGRESS_CANCEL, progress.cancel),
    Feature(feedback.DID_SHOW, feedback.did_show),
    Feature(feedback.DID_PARTIALLY_ACCEPT, feedback.did_partially_accept),
    Feature(document_text.DOCUMENT_TEXT, document_text.document_text),
    Feature(status.STATUS, status.status),
)

COMMANDS = (
    Command(feedback.DID_ACCEPT, feedback.did_accept),
    *(Command(execute_command.COMMAND_OF[assist], execute_command.command(assist)) for assist in Assist),
)


def register_features(session: Session) -> None:
    """Register every method and command for one session."""
    for feature in FEATURES:
        session.server.feature(feature.method, feature.options)(partial(feature.handler, session))
    for command in COMMANDS:
        session.server.command(command.name)(_runner(command.handler, session))


def _runner(handler: Callable[[Session, list[Any]], Any], session: Session) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:  # pygls matches a command's arguments to the parameters of a plain function
        return handler(session, list(arguments))

    return run
