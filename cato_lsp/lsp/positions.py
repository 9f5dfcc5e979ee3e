"""LSP positions and text offsets (LSP 3.18, "Text Documents").

A position counts lines, broken by ``\\n``, ``\\r\\n`` or ``\\r`` and by nothing else, and code units of the negotiated
encoding within a line; a position past the end of a line means the end of that line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

from lsprotocol import types

LINE_BREAK = re.compile(r"\r\n|\n|\r")

_CODECS = {
    types.PositionEncodingKind.Utf8: ("utf-8", 1),
    types.PositionEncodingKind.Utf16: ("utf-16-le", 2),
    types.PositionEncodingKind.Utf32: ("utf-32-le", 4),
}


class Encoding:
    """Counts the code units of one position encoding."""

    def __init__(self, kind: types.PositionEncodingKind | str | None) -> None:
        self.kind = types.PositionEncodingKind(kind or types.PositionEncodingKind.Utf16)
        self._codec, self._unit = _CODECS[self.kind]

    def units(self, text: str) -> int:
        """Code units of ``text``."""
        if text.isascii():
            return len(text)
        return len(text.encode(self._codec)) // self._unit

    def characters(self, text: str, units: int) -> int:
        """Number of complete characters in the first ``units`` code units of ``text``."""
        if text.isascii():
            return min(units, len(text))
        return len(text.encode(self._codec)[: units * self._unit].decode(self._codec, "ignore"))


class LineIndex:
    """The start offsets of the lines of a text, updated by edits."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *_line_starts(text, 0)]

    def __len__(self) -> int:
        return len(self._starts)

    def replace(self, text: str, start: int, end: int, new_length: int) -> None:
        """Update after an edit: in the new ``text``, ``new_length`` characters replaced ``start:end``."""
        shift = new_length - (end - start)
        # An edit may join or split \r\n at its edges, so lines are searched again from one character around it.
        first = bisect_right(self._starts, max(0, start - 1))
        last = bisect_right(self._starts, end + 1)
        begin, until = max(0, start - 1), start + new_length + 1
        middle = [at for at in _line_starts(text[begin : until + 1], begin) if at <= until]
        tail = self._starts[last:] if not shift else [at + shift for at in self._starts[last:]]
        self._starts[first:] = [*middle, *tail]

    def offset(self, text: str, position: types.Position, encoding: Encoding) -> int:
        """Offset of ``position`` in ``text``, clamped to the text."""
        if position.line >= len(self._starts):
            return len(text)
        start = self._starts[position.line]
        line = text[start : self._line_end(text, position.line)]
        return start + encoding.characters(line, position.character)

    def position(self, text: str, offset: int, encoding: Encoding) -> types.Position:
        """Position of ``offset`` in ``text``."""
        line = bisect_right(self._starts, offset) - 1
        return types.Position(line, encoding.units(text[self._starts[line] : offset]))

    def _line_end(self, text: str, line: int) -> int:
        if line + 1 == len(self._starts):
            return len(text)
        end = self._starts[line + 1] - 1
        return end - 1 if text[end] == "\n" and end > self._starts[line] and text[end - 1] == "\r" else end


def _line_starts(text: str, offset: int) -> Iterable[int]:
    if "\r" in text:
        return (match.end() + offset for match in LINE_BREAK.finditer(text))
    lengths = map(len, text.split("\n")[:-1])
    return (end + breaks for breaks, end in enumerate(accumulate(lengths), offset + 1))
