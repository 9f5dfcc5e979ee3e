"""What a Neovim shows, cell by cell: a user interface attached over its socket, as a graphical one would be."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import msgpack

_SILENCE = 1.0
"""Seconds without a word after which the screen is taken to be complete."""


@dataclass
class Screen:
    """The cells of each row, and how they look."""

    rows: list[list[tuple[str, int]]] = field(default_factory=list[list[tuple[str, int]]])
    """A character and the number of its highlight."""
    highlights: dict[int, dict[str, Any]] = field(default_factory=lambda: {0: {}})
    """``foreground`` and ``background`` as 24-bit numbers, ``bold``, ``italic``, ``reverse``."""
    foreground: int = 0
    background: int = 0xFFFFFF

    def _grid_resize(self, _grid: int, width: int, height: int) -> None:
        self.rows = [[(" ", 0)] * width for _ in range(height)]

    def _grid_clear(self, _grid: int) -> None:
        self.rows = [[(" ", 0)] * len(row) for row in self.rows]

    def _grid_line(self, _grid: int, row: int, column: int, cells: list[Any], *_: Any) -> None:
        highlight = 0
        for text, *more in cells:
            highlight = more[0] if more else highlight
            for _ in range(more[1] if len(more) > 1 else 1):
                self.rows[row][column] = (text, highlight)
                column += 1

    def _default_colors_set(self, foreground: int, background: int, *_: Any) -> None:
        self.foreground, self.background = foreground, background

    def _hl_attr_define(self, number: int, attributes: dict[str, Any], *_: Any) -> None:
        self.highlights[number] = attributes

    def take(self, events: list[list[Any]]) -> None:
        """Follow Neovim's ``redraw``."""
        for name, *calls in events:
            method = getattr(self, f"_{name}", None)
            for arguments in calls if method else ():
                method(*arguments)


def read_screen(path: Path, columns: int, lines: int) -> Screen:
    """Attach a screen of this size to the Neovim that listens on a socket, and read what it draws."""
    screen = Screen()
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(path))
        channel.settimeout(_SILENCE)
        options = {"rgb": True, "ext_linegrid": True}
        channel.sendall(msgpack.encode([0, 0, "nvim_ui_attach", [columns, lines, options]]))
        received = b""
        while True:
            try:
                received += channel.recv(1 << 20)
            except TimeoutError:
                return screen
            while (end := _end(received, 0)) is not None:
                message = msgpack.decode(received[:end])
                received = received[end:]
                if message[0] == 2 and message[1] == "redraw":
                    screen.take(message[2])


def _end(data: bytes, start: int) -> int | None:
    """Where the MessagePack value at ``start`` ends; ``None`` if it is not all there."""
    if start >= len(data):
        return None
    first = data[start]
    size, count = 1, 0
    if first in _FIXED:
        size += _FIXED[first]
    elif 0x80 <= first <= 0x9F:
        count = (first & 0xF) * (2 if first < 0x90 else 1)
    elif 0xA0 <= first <= 0xBF:
        size += first & 0x1F
    elif first in _COUNTED:
        width, extra, per_item = _COUNTED[first]
        number = int.from_bytes(data[start + 1 : start + 1 + width], "big")
        size += width + extra + (0 if per_item else number)
        count = number * per_item
    end = start + size
    if end > len(data):
        return None
    for _ in range(count):
        inner = _end(data, end)
        if inner is None:
            return None
        end = inner
    return end


_FIXED = dict(
    zip(
        (0xC0, 0xC2, 0xC3, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8),
        (0, 0, 0, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17),
        strict=True,
    )
)
"""Bytes after the first of values of one size."""
_COUNTED = {
    first + step: (1 << step + shift, extra, per_item)
    for first, steps, shift, extra, per_item in (
        (0xC4, 3, 0, 0, 0),  # binary
        (0xC7, 3, 0, 1, 0),  # extensions: Neovim's handles
        (0xD9, 3, 0, 0, 0),  # text
        (0xDC, 2, 1, 0, 1),  # arrays
        (0xDE, 2, 1, 0, 2),  # maps
    )
    for step in range(steps)
}
"""Bytes of the length, bytes besides, and values per item, of values that tell their length."""
