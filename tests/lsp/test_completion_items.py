"""Any completion that is returned, shown and accepted as an editor does it, in all position encodings."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types

from cato_lsp.lsp.documents import Document
from cato_lsp.lsp.methods.inline_completion import item_of
from cato_lsp.lsp.positions import Encoding
from cato_lsp.tasks.completion import CompletionPrompter, CompletionRequest, SelectedCompletion
from cato_lsp.tasks.families import CATO
from cato_lsp.tasks.tokenizer import Tokenizer
from cato_lsp.tasks.typethrough import TypeThroughCache
from tests.lsp.test_documents import position_of
from tests.tasks.conftest import CATO_TOKENS, train_byte_level

PIECES = [
    "x",
    "def f(a):",
    "\n",
    "\r\n",
    "\r",
    "    ",
    "\t",
    "return 1",
    "漢字",
    "🙂",
    " ",
    *"}{()\"'",
    "if a:",
    "\u2028",
]
texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
encodings = st.sampled_from(list(types.PositionEncodingKind))
prompter = CompletionPrompter(Tokenizer(train_byte_level(CATO_TOKENS).to_str()), CATO)


def offset_of(text: str, position: types.Position, encoding: Encoding) -> int:
    """An offset worked out the slow way; a position that is none fails."""
    found = [offset for offset in range(len(text) + 1) if position_of(text, offset, encoding) == position]
    return found[0]


def accepted(text: str, item: types.InlineCompletionItem, encoding: Encoding) -> str:
    """The document after an editor has inserted the item."""
    assert item.range is not None
    assert item.range.start.line == item.range.end.line
    start, end = (offset_of(text, each, encoding) for each in (item.range.start, item.range.end))
    return text[:start] + str(item.insert_text) + text[end:]


@settings(max_examples=300, deadline=None)
@given(text=texts, answer=texts, kind=encodings, cut=st.booleans(), data=st.data())
def test_an_accepted_item_touches_its_range_and_nothing_else(
    text: str, answer: str, kind: types.PositionEncodingKind, cut: bool, data: st.DataObject
) -> None:
    encoding = Encoding(kind)
    document = Document(types.TextDocumentItem("file:///a.py", "python", 1, text), encoding)
    offset = data.draw(st.integers(0, len(text)))
    selected = None
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(text)))
        selected = SelectedCompletion(start, data.draw(st.integers(0, len(text))), data.draw(texts))
    request = CompletionRequest(document.snapshot(), offset, invoked=True, selected=selected)
    plan = prompter.plan(request)
    assert plan is not None
    stream = plan.stream()
    stream.feed(answer)
    completion = stream.result(cut=cut)
    if completion is None:
        return
    item = item_of(completion, request, document)
    assert accepted(text, item, encoding) == completion.apply(text)
    # Editors show an item only if the text in its range is a prefix of what they compare it with.
    shown = item.filter_text or str(item.insert_text)
    assert shown.startswith(text[completion.start : completion.end])


@settings(max_examples=100, deadline=None)
@given(text=texts, answer=texts.filter(bool), kind=encodings, data=st.data())
def test_an_item_that_was_typed_along_touches_its_range_and_nothing_else(
    text: str, answer: str, kind: types.PositionEncodingKind, data: st.DataObject
) -> None:
    encoding, cache = Encoding(kind), TypeThroughCache()
    offset = data.draw(st.integers(0, len(text)))
    document = Document(types.TextDocumentItem("file:///a.py", "python", 1, text), encoding)
    cache.put(document.snapshot(), offset, answer)
    typed = answer[: data.draw(st.integers(0, len(answer) - 1))]
    now = text[:offset] + typed + text[offset:]
    document = Document(types.TextDocumentItem("file:///a.py", "python", 2, now), encoding)
    request = CompletionRequest(document.snapshot(), offset + len(typed))
    completion = cache.complete(request)
    if completion is not None:
        assert accepted(now, item_of(completion, request, document), encoding) == completion.apply(now)
