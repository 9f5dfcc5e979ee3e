"""The open documents of one session, kept in sync with the editor.

pygls keeps documents, too, but breaks lines where Python does (form feeds, U+2028), which LSP does not. After such a
character its edits are on the wrong line.
"""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol import types

from cato_lsp.lsp.positions import Encoding, LineIndex
from cato_lsp.tasks.snapshot import Snapshot


class UnknownDocumentError(KeyError):
    """The client refers to a document that it has not opened."""


class Document:
    """One open document. Requests work on its `snapshot`."""

    def __init__(self, item: types.TextDocumentItem, encoding: Encoding) -> None:
        self.uri = item.uri
        self.language = item.language_id.lower()
        self.version = item.version
        self._encoding = encoding
        self._text = _well_formed(item.text)
        self._lines = LineIndex(self._text)

    def change(self, version: int, changes: Sequence[types.TextDocumentContentChangeEvent]) -> None:
        """Apply the changes of one ``didChange``, in order."""
        for change in changes:
            new = _well_formed(change.text)
            if isinstance(change, types.TextDocumentContentChangePartial):
                start = self.offset(change.range.start)
                end = max(start, self.offset(change.range.end))
                self._text = self._text[:start] + new + self._text[end:]
                self._lines.replace(self._text, start, end, len(new))
            else:
                self._text = new
                self._lines = LineIndex(new)
        self.version = version

    def snapshot(self) -> Snapshot:
        """The current version of the document."""
        return Snapshot(self.uri, self.language, self.version, self._text)

    def offset(self, position: types.Position) -> int:
        """Offset of a client's position, clamped to the text."""
        return self._lines.offset(self._text, position, self._encoding)

    def range(self, start: int, end: int) -> types.Range:
        """The client's range for two offsets into the current text."""
        return types.Range(
            self._lines.position(self._text, start, self._encoding),
            self._lines.position(self._text, end, self._encoding),
        )


class Documents:
    """The open documents by URI."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._by_uri: dict[str, Document] = {}

    def open(self, item: types.TextDocumentItem) -> Document:
        """Add a document. If it is open already, it is replaced."""
        document = self._by_uri[item.uri] = Document(item, self._encoding)
        return document

    def close(self, uri: str) -> None:
        """Forget a document."""
        self._by_uri.pop(uri, None)

    def __getitem__(self, uri: str) -> Document:
        try:
            return self._by_uri[uri]
        except KeyError:
            raise UnknownDocumentError(uri) from None

    def __contains__(self, uri: str) -> bool:
        return uri in self._by_uri

    def __len__(self) -> int:
        return len(self._by_uri)


def _well_formed(text: str) -> str:
    """Join surrogate pairs, and replace lone surrogates by U+FFFD, which tokenizers and encodings accept."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
