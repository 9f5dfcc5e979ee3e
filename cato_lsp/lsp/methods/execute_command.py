"""``workspace/executeCommand``: commands start a task of the session and return its progress token at once.

The user can cancel the progress. The request itself could not be cancelled, since pygls does not support that.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from cato_lsp.lsp.assist import Assist, NotPossibleError, Request, carry_out, workspace_edit

if TYPE_CHECKING:
    from cato_lsp.lsp.documents import Document
    from cato_lsp.lsp.session import Session

logger = logging.getLogger(__name__)

COMMAND_OF = {assist: f"cato.{assist.value}" for assist in Assist}
"""Commands such as ``cato.generate`` take one argument ``{uri, range?, language?}``."""


def command(assist: Assist) -> Callable[[Session, list[Any]], str]:
    """The handler of an assist's command."""
    return partial(_start, assist)


def arguments_for(uri: str, where: dict[str, Any], language: str) -> dict[str, Any]:
    """The argument of a command; ``language`` is empty if the command needs none."""
    return {"uri": uri, "range": where, "language": language}


def _start(assist: Assist, session: Session, arguments: list[Any]) -> str:
    document, where, language = _arguments(session, arguments)
    if assist is Assist.TRANSLATE and not language:
        raise JsonRpcInvalidParams("cato.translate needs `language`, an LSP language id.")
    if session.exclusion.forbids_reading(document.uri, document.snapshot().text):
        message = "This file is excluded: it may contain secrets, or the settings exclude it."
        raise JsonRpcException(message, types.LSPErrorCodes.RequestFailed.value)
    request = Request.at(assist, document, where or _whole(document), language)
    if request.start == request.end and not assist.edits:
        request = Request.at(assist, document, _whole(document), language)
    token = str(uuid.uuid4())
    session.start(partial(_run, session, document, request, token))
    return token


async def _run(session: Session, document: Document, request: Request, token: str) -> None:
    try:
        edit = await carry_out(session, request, token)
    except NotPossibleError as error:
        session.server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, f"Cato: {error}"))
        return
    if edit is None:
        return
    if document.uri not in session.documents or document.version != request.snapshot.version:
        message = "Cato: the document has changed in the meantime; nothing was inserted."
        session.server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))
        return
    params = types.ApplyWorkspaceEditParams(edit=workspace_edit(session, document, edit), label=request.title)
    result = await session.server.workspace_apply_edit_async(params)
    if not result.applied:
        logger.info("The client did not apply an edit")


def _arguments(session: Session, arguments: list[Any]) -> tuple[Document, types.Range | None, str]:
    """The document, range and language that a command is about."""
    given = cast("dict[str, Any]", arguments[0]) if arguments and isinstance(arguments[0], dict) else {}
    uri, language = given.get("uri"), given.get("language") or ""
    if not isinstance(uri, str) or not isinstance(language, str):
        raise JsonRpcInvalidParams("The command takes one argument {uri, range, language?}.")
    if uri not in session.documents:
        raise JsonRpcException("The document is not open.", types.LSPErrorCodes.RequestFailed.value)
    where = given.get("range")
    try:
        structured = None if where is None else session.protocol.structure(where, types.Range)
    except Exception as error:
        raise JsonRpcInvalidParams("`range` is not a range.") from error
    return session.documents[uri], structured, language.lower()


def _whole(document: Document) -> types.Range:
    return document.range(0, len(document.snapshot().text))
