"""Answers that go round in circles, which small models do when they do not know how to go on."""

from __future__ import annotations

from collections.abc import Sequence

_LINES = 3
"""The same lines this often in a row are a repetition. Code says a thing twice often enough."""
_LONGEST_GROUP = 4
_TELLING = 2
"""Letters and digits that a repeated group must hold: closing brackets repeat in sound code."""
_TAIL, _PIECE = 120, 30
"""Characters of one line, and of a piece that it repeats."""


def is_stuck(text: str) -> bool:
    """Whether an answer, so far as it is written, repeats itself: its last whole lines, or a piece of its last line."""
    lines = text[-2000:].split("\n")[:-1]
    end = text[-_TAIL:]
    return repeated_lines(lines) > 0 or (
        len(end) == _TAIL and any(end[size:] == end[:-size] for size in range(1, _PIECE + 1))
    )


def without_repetition(text: str) -> str:
    """The text without what repeats at its end; a repeated group of lines is kept once."""
    lines = text.rstrip("\n").split("\n")
    if (again := repeated_lines(lines)) == 0 and (again := repeated_lines(lines[:-1])):
        lines = lines[:-1]
    return "\n".join(lines[: len(lines) - again]) if again else text


def repeated_lines(lines: Sequence[str]) -> int:
    """How many lines at the end are copies of the group of lines before them; blank lines do not count as a group."""
    for size in range(1, _LONGEST_GROUP + 1):
        group = lines[-size:]
        if len(lines) < size * _LINES or sum(map(str.isalnum, "".join(group))) < _TELLING:
            continue
        copies = 1
        while lines[len(lines) - size * (copies + 1) : len(lines) - size * copies] == group:
            copies += 1
        if copies >= _LINES:
            return size * (copies - 1)
    return 0
