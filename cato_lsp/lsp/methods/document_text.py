"""``cato/documentText``: the text of an open document, for the window's process (`SessionState`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from cato_lsp.lsp.session_state import DOCUMENT_TEXT

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session

__all__ = ["DOCUMENT_TEXT", "document_text"]


def document_text(session: Session, params: Any) -> dict[str, Any]:
    """Return the current version of the document as a ``TextDocumentItem``."""
    uri = getattr(params, "uri", None)
    if not isinstance(uri, str) or uri not in session.documents:
        raise JsonRpcInvalidParams("cato/documentText takes {uri} of an open document.")
    snapshot = session.documents[uri].snapshot()
    return {"uri": uri, "languageId": snapshot.language, "version": snapshot.version, "text": snapshot.text}
