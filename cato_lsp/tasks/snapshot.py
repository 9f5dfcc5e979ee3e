"""An immutable view of one document at one version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document as it was when a request arrived.

    Offsets into ``text`` count code points; the package ``lsp`` converts them from and to the client's position
    encoding.
    """

    uri: str
    language: str
    """LSP ``languageId``, lower case; ``""`` when unknown."""
    version: int | None
    text: str

    @property
    def newline(self) -> str:
        """The line ending of the document: that of its first line, ``"\\n"`` when it has only one line."""
        first = self.text.find("\n")
        return "\r\n" if first > 0 and self.text[first - 1] == "\r" else "\n"

    def line_start(self, offset: int) -> int:
        """Offset of the first character of the line that ``offset`` is on."""
        return self.text.rfind("\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """Offset right after the last character of the line that ``offset`` is on, without its line ending."""
        end = self.text.find("\n", offset)
        if end < 0:
            return len(self.text)
        return end - 1 if end > 0 and self.text[end - 1] == "\r" else end
