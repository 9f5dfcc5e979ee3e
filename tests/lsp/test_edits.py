"""Any edit that is returned, applied as an editor does it, in all position encodings."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from cato_lsp.lsp.assist import workspace_edit
from cato_lsp.lsp.documents import Document
from cato_lsp.lsp.positions import Encoding
from cato_lsp.tasks.doc_comments import document
from cato_lsp.tasks.edit import Edit
from cato_lsp.tasks.symbols import Outline, SymbolKind

texts = st.text(alphabet="ab(){}:\"'# \t\n\r🙂漢é\u2028\x0c", max_size=60)
encodings = st.sampled_from(list(types.PositionEncodingKind))


def opened(text: str, encoding: types.PositionEncodingKind) -> Document:
    return Document(types.TextDocumentItem("file:///a.py", "python", 1, text), Encoding(encoding))


def applied(document: Document, edit: Edit, *, versioned: bool = True) -> str:
    """The document after the editor has made the change."""
    edits = types.WorkspaceEditClientCapabilities(document_changes=versioned)
    workspace = types.WorkspaceClientCapabilities(workspace_edit=edits)
    session = SimpleNamespace(capabilities=types.ClientCapabilities(workspace=workspace))
    made = workspace_edit(cast("Any", session), document, edit)
    if versioned:
        assert made.document_changes is not None
        (one,) = made.document_changes
        assert isinstance(one, types.TextDocumentEdit)
        assert one.text_document.version == document.version
        (change,) = one.edits
    else:
        assert made.changes is not None
        ((change,),) = made.changes.values()
    assert isinstance(change, types.TextEdit)
    document.change(2, [types.TextDocumentContentChangePartial(range=change.range, text=change.new_text)])
    return document.snapshot().text


@given(text=texts, new=texts, encoding=encodings, data=st.data())
def test_an_edit_touches_its_range_and_nothing_else(
    text: str, new: str, encoding: types.PositionEncodingKind, data: st.DataObject
) -> None:
    document = opened(text, encoding)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    if any(text[at - 1 : at + 1] == "\r\n" for at in (start, end)):
        return  # no position lies between the two characters of a line ending
    edit = Edit(start, end, new)
    assert applied(document, edit) == edit.apply(text)


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("encoding", list(types.PositionEncodingKind))
def test_documenting_leaves_the_rest_of_the_file_alone(
    encoding: types.PositionEncodingKind, end: str, newline: str, versioned: bool
) -> None:
    text = f's = "🙂漢é"\n\n\nclass A🙂x:\n\tdef f(self): return "🙂"{end}'.replace("🙂x", "").replace("\n", newline)
    source = Outline(text, "python")
    for symbol in source.walk():
        assert symbol.kind is not SymbolKind.CONTAINER
        edit = document(source, symbol, "Gibt 🙂 zurück.")
        after = applied(opened(text, encoding), edit, versioned=versioned)
        assert after == edit.apply(text)
        assert after.startswith(text[: edit.start])
        assert after.endswith(text[edit.end :])
        assert '"""Gibt 🙂 zurück."""' in after
