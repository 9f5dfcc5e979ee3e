"""Documents stay in step with the editor, whatever it sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from cato_lsp.lsp.documents import Documents, UnknownDocumentError
from cato_lsp.lsp.positions import LINE_BREAK, Encoding, LineIndex

ALPHABET = "ab \t\n\r\x0c\u2028é漢😀"
TEXT = st.text(alphabet=ALPHABET, max_size=40)
ENCODINGS = st.sampled_from(list(types.PositionEncodingKind))


def lines_of(text: str) -> list[str]:
    """The specification's lines, without their breaks."""
    return LINE_BREAK.split(text)


def position_of(text: str, offset: int, encoding: Encoding) -> types.Position:
    """A position worked out the slow way."""
    before = lines_of(text[:offset])
    if text[offset - 1 : offset + 1] == "\r\n":
        before = lines_of(text[: offset - 1])
    return types.Position(len(before) - 1, encoding.units(before[-1]))


def open_document(text: str, encoding: Encoding) -> Documents:
    documents = Documents(encoding)
    documents.open(types.TextDocumentItem("file:///a.py", "Python", 1, text))
    return documents


@given(TEXT, st.data(), ENCODINGS)
def test_a_position_leads_to_an_offset_and_back(text: str, data: st.DataObject, kind: str) -> None:
    encoding = Encoding(kind)
    offset = data.draw(st.integers(0, len(text)))
    position = position_of(text, offset, encoding)
    index = LineIndex(text)
    found = index.offset(text, position, encoding)
    assert position_of(text, found, encoding) == position
    if text[offset - 1 : offset + 1] != "\r\n":
        assert found == offset
        assert index.position(text, offset, encoding) == position


@given(TEXT, st.integers(0, 100), st.integers(0, 100), ENCODINGS)
def test_a_position_outside_the_text_is_clamped_into_it(text: str, line: int, character: int, kind: str) -> None:
    encoding = Encoding(kind)
    offset = LineIndex(text).offset(text, types.Position(line, character), encoding)
    assert 0 <= offset <= len(text)
    if line < len(lines_of(text)) and character >= encoding.units(lines_of(text)[line]):
        assert text[offset : offset + 1] in ("", "\n", "\r")


@given(TEXT, st.data())
def test_the_line_index_after_an_edit_equals_a_new_one(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    new = data.draw(TEXT)
    index = LineIndex(text)
    edited = text[:start] + new + text[end:]
    index.replace(edited, start, end, len(new))
    assert index._starts == LineIndex(edited)._starts  # pyright: ignore[reportPrivateUsage]


@given(TEXT, st.data(), ENCODINGS)
def test_incremental_edits_leave_the_text_the_editor_has(text: str, data: st.DataObject, kind: str) -> None:
    encoding = Encoding(kind)
    documents = open_document(text, encoding)
    document = documents["file:///a.py"]
    for version in range(2, 5):
        boundaries = [i for i in range(len(text) + 1) if text[i - 1 : i + 1] != "\r\n"]
        start, end = sorted(data.draw(st.tuples(st.sampled_from(boundaries), st.sampled_from(boundaries))))
        new = data.draw(TEXT)
        where = types.Range(position_of(text, start, encoding), position_of(text, end, encoding))
        document.change(version, [types.TextDocumentContentChangePartial(range=where, text=new)])
        text = text[:start] + new + text[end:]
        assert document.snapshot().text == text
        assert document.version == version


def test_a_form_feed_does_not_break_a_line() -> None:
    encoding = Encoding("utf-16")
    document = open_document("a = 1\n\x0c\nb = 2\n", encoding)["file:///a.py"]
    assert document.offset(types.Position(2, 4)) == len("a = 1\n\x0c\nb = ")


def test_a_full_change_replaces_the_text() -> None:
    document = open_document("old\n", Encoding("utf-8"))["file:///a.py"]
    document.change(2, [types.TextDocumentContentChangeWholeDocument(text="new\nlines")])
    assert document.snapshot().text == "new\nlines"
    assert document.range(4, 9) == types.Range(types.Position(1, 0), types.Position(1, 5))


def test_lone_surrogates_become_replacement_characters_and_pairs_join() -> None:
    document = open_document("x\ud800y \ud83d\ude00", Encoding("utf-16"))["file:///a.py"]
    assert document.snapshot().text == "x\ufffdy \U0001f600"


def test_a_language_id_is_compared_in_lower_case() -> None:
    assert open_document("", Encoding(None))["file:///a.py"].snapshot().language == "python"


def test_a_document_that_is_not_open_is_an_error() -> None:
    documents = open_document("", Encoding(None))
    documents.close("file:///a.py")
    with pytest.raises(UnknownDocumentError):
        documents["file:///a.py"]
