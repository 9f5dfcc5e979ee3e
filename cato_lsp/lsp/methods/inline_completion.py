"""``textDocument/inlineCompletion`` (LSP 3.18)."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from cato_lsp.lsp.methods.feedback import accept_command
from cato_lsp.lsp.protocol import snapshot_first
from cato_lsp.supervise import traceback_of
from cato_lsp.tasks.completion import Completion, CompletionRequest, SelectedCompletion

if TYPE_CHECKING:
    from cato_lsp.lsp.documents import Document
    from cato_lsp.lsp.session import Session

logger = logging.getLogger(__name__)


@snapshot_first
def inline_completion(
    session: Session, params: types.InlineCompletionParams
) -> Coroutine[Any, Any, types.InlineCompletionList]:
    """Complete at a position. Returns an empty list, never null, if there is nothing to show.

    Neovim keeps stale text on null, and VS Code repeats the request on an unexpected error. So a superseded request
    gets an empty list, too.
    """
    uri = params.text_document.uri
    if uri not in session.documents or not session.settings.completion.enabled:
        return _nothing()
    document = session.documents[uri]
    offset = document.offset(params.position)
    selected = None
    if (info := params.context.selected_completion_info) is not None:
        start, end = document.offset(info.range.start), document.offset(info.range.end)
        selected = SelectedCompletion(start, end, info.text)
    invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    return _complete(session, document, CompletionRequest(document.snapshot(), offset, invoked, selected))


async def _complete(session: Session, document: Document, request: CompletionRequest) -> types.InlineCompletionList:
    try:
        completions = await session.backend.orchestrator.complete(session.client, request, session.settings)
    except Exception as error:  # no message box for a suggestion that fails while typing
        logger.error("A completion failed\n%s", traceback_of(error))
        return await _nothing()
    if document.version != request.snapshot.version:
        return await _nothing()
    items = [item_of(completion, request, document) for completion in completions]
    for item, completion in zip(items, completions, strict=True):
        item.command = accept_command(session, completion.text, document.uri)
    return types.InlineCompletionList(items)


def item_of(completion: Completion, request: CompletionRequest, document: Document) -> types.InlineCompletionItem:
    """A completion as a protocol item. The document must still have the version of the request."""
    return types.InlineCompletionItem(
        insert_text=completion.text,
        filter_text=_filter_text(completion, request),
        range=document.range(completion.start, completion.end),
    )


def _filter_text(completion: Completion, request: CompletionRequest) -> str | None:
    """The text that the editor compares with the text in the range, if the completion does not begin with that.

    This is the case when the completion replaces a closing bracket after the cursor.
    """
    replaced = request.snapshot.text[completion.start : completion.end]
    return None if completion.text.startswith(replaced) else replaced


async def _nothing() -> types.InlineCompletionList:
    return types.InlineCompletionList(items=[])
