"""``textDocument/codeAction`` and ``codeAction/resolve``: actions are cheap to offer and computed when chosen."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from cato_lsp.lsp.assist import Assist, NotPossibleError, Request, carry_out, workspace_edit
from cato_lsp.lsp.methods.execute_command import COMMAND_OF, arguments_for
from cato_lsp.lsp.protocol import snapshot_first
from cato_lsp.tasks.generation import generation_target
from cato_lsp.tasks.languages import language_of
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.summarization import documentable

if TYPE_CHECKING:
    from cato_lsp.lsp.documents import Document
    from cato_lsp.lsp.session import Session

KINDS = {
    Assist.GENERATE: "refactor.rewrite.cato.generate",
    Assist.SUMMARIZE: "refactor.rewrite.cato.document",
    Assist.EXPLAIN: "refactor.cato.explain",
    Assist.TRANSLATE: "refactor.cato.translate",
}
OPTIONS = types.CodeActionOptions(code_action_kinds=list(KINDS.values()), resolve_provider=True)
_LARGE = 400_000
"""Documents with more characters are not parsed to find actions."""


@snapshot_first
def code_action(session: Session, params: types.CodeActionParams) -> Coroutine[Any, Any, list[types.CodeAction]]:
    """The actions for a range. Makes no model call."""
    uri = params.text_document.uri
    if uri not in session.documents or session.exclusion.forbids_reading(uri, session.documents[uri].snapshot().text):
        return _offer_nothing()
    document = session.documents[uri]
    start, end = document.offset(params.range.start), document.offset(params.range.end)
    return _offer(session, params, document.snapshot(), start, end)


async def _offer_nothing() -> list[types.CodeAction]:
    return []


async def _offer(
    session: Session, params: types.CodeActionParams, snapshot: Snapshot, start: int, end: int
) -> list[types.CodeAction]:
    edits = await anyio.to_thread.run_sync(_edits, snapshot, start, end)
    offers = [*edits, *_texts(session, snapshot, start, end)]
    return [
        _action(session, snapshot, params.range, assist, title, language)
        for assist, title, language in offers
        if _wanted(KINDS[assist], params.context.only)
    ]


@snapshot_first
def resolve(session: Session, action: types.CodeAction) -> Coroutine[Any, Any, types.CodeAction]:
    """Compute the edit of a chosen action."""
    data = cast("dict[str, Any]", action.data if isinstance(action.data, dict) else {})
    uri = str(data.get("uri"))
    assist = next((each for each in Assist if each.value == data.get("assist")), None)
    if assist is None or uri not in session.documents:
        raise JsonRpcException("The document of this action is not open.", types.LSPErrorCodes.ContentModified.value)
    document = session.documents[uri]
    if document.version != data.get("version"):
        raise _modified()
    if session.exclusion.forbids_reading(uri, document.snapshot().text):
        message = "This file is excluded: it may contain secrets, or the settings exclude it."
        raise JsonRpcException(message, types.LSPErrorCodes.RequestFailed.value)
    try:
        where = session.protocol.structure(data.get("range"), types.Range)
    except Exception as error:  # the library raises what it likes
        raise JsonRpcInvalidParams("The action's `range` is not a range.") from error
    return _resolve(session, document, action, Request.at(assist, document, where))


async def _resolve(
    session: Session, document: Document, action: types.CodeAction, request: Request
) -> types.CodeAction:
    try:
        edit = await carry_out(session, request)
    except NotPossibleError as error:
        raise JsonRpcException(str(error), types.LSPErrorCodes.RequestFailed.value) from error
    if document.version != request.snapshot.version or document.uri not in session.documents:
        raise _modified()
    if edit is not None:
        action.edit = workspace_edit(session, document, edit)
    return action


def _edits(snapshot: Snapshot, start: int, end: int) -> list[tuple[Assist, str, str]]:
    """The actions that change the document. Parses it, so call it in a worker thread."""
    found: list[tuple[Assist, str, str]] = []
    if len(snapshot.text) <= _LARGE:
        if generation_target(snapshot, end) is not None:
            found.append((Assist.GENERATE, "Generate the code", ""))
        symbol = documentable(snapshot, start, end)
        if symbol is not None:
            found.append((Assist.SUMMARIZE, f"Document {symbol.name}" if symbol.name else "Document this", ""))
    return found


def _texts(session: Session, snapshot: Snapshot, start: int, end: int) -> Iterator[tuple[Assist, str, str]]:
    """The actions whose result is a separate text."""
    if start != end:
        yield Assist.EXPLAIN, "Explain the selection", ""
        for language in session.backend.orchestrator.translations(snapshot.language):
            yield Assist.TRANSLATE, f"Translate the selection to {language_of(language).name}", language


def _action(
    session: Session, snapshot: Snapshot, where: types.Range, assist: Assist, title: str, language: str
) -> types.CodeAction:
    action = types.CodeAction(title=f"Cato: {title}", kind=KINDS[assist])
    action.tags = [types.CodeActionTag.LlmGenerated] if _knows_tag(session) else None
    plain = {"start": _position(where.start), "end": _position(where.end)}
    if assist.edits and _resolves(session):
        action.data = {"assist": assist.value, "uri": snapshot.uri, "version": snapshot.version, "range": plain}
    else:
        arguments = arguments_for(snapshot.uri, plain, language)
        action.command = types.Command(title=action.title, command=COMMAND_OF[assist], arguments=[arguments])
    return action


def _position(position: types.Position) -> dict[str, int]:
    return {"line": position.line, "character": position.character}


def _wanted(kind: str, only: Any) -> bool:
    """Kinds are hierarchical: ``refactor`` means ``refactor.rewrite.…`` too."""
    return not only or any(
        kind == str(getattr(each, "value", each)) or kind.startswith(f"{getattr(each, 'value', each)}.")
        for each in only
    )


def _client(session: Session) -> types.CodeActionClientCapabilities | None:
    document = session.capabilities.text_document
    return document.code_action if document is not None else None


def _resolves(session: Session) -> bool:
    client = _client(session)
    return client is not None and client.resolve_support is not None and "edit" in client.resolve_support.properties


def _knows_tag(session: Session) -> bool:
    client = _client(session)
    support = client.tag_support if client is not None else None
    return support is not None and types.CodeActionTag.LlmGenerated in support.value_set


def _modified() -> JsonRpcException:
    return JsonRpcException("The document has changed.", types.LSPErrorCodes.ContentModified.value)
