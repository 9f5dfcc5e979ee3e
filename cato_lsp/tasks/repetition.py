"""Recognises answers that repeat themselves, which small models do when they do not know how to go on.

Real code repeats itself, too: closing brackets, tables of numbers, one type argument many times. So the more a piece
says, the fewer copies of it are a repetition.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LINES, _ITEMS = 4, 12
"""This many copies of a group of lines are a repetition, and of a group that may be one item or a row of a table."""
_LONG_LINE = 24
"""One copy less is enough of a group with this many letters and digits."""
_LONGEST_GROUP = 4
_COPIES = 6
"""This many copies of a piece within a line are a repetition, if it has a name or keyword."""
_LONGEST_PIECE = 8
"""Words and signs of a piece that repeats within a line."""
_TAIL, _PIECE = 120, 30
"""Any piece of at most 30 characters that fills the last 120 of a line is a repetition; a ruler is none."""
_REACH = 2000
"""Characters at the end of an answer that are looked at."""

_WORD = re.compile(r"\w+|[^\w\s]")
_NAME = re.compile(r"[^\W\d]")
_RULERS = frozenset("-=#*~_/.+ \t")


def is_stuck(text: str) -> bool:
    """Whether an answer, so far as it is written, repeats itself: its last whole lines, or the end of its last line."""
    *lines, last = text[-_REACH:].split("\n")
    return bool(repeated_lines(lines)) or _first_copy_end(last) is not None


def without_repetition(text: str) -> str:
    """The text without what repeats at its end: a repeated group of lines, or piece of the last line, is kept once."""
    lines = text.rstrip("\n").split("\n")
    if (end := _first_copy_end(lines[-1])) is not None:
        return "\n".join([*lines[:-1], lines[-1][:end]])
    if (again := repeated_lines(lines)) == 0 and (again := repeated_lines(lines[:-1])):
        lines = lines[:-1]
    return "\n".join(lines[: len(lines) - again]) if again else text


def repeated_lines(lines: Sequence[str]) -> int:
    """How many lines at the end are copies of the group of lines before them; blank lines do not count as a group."""
    for size in range(1, _LONGEST_GROUP + 1):
        group = lines[-size:]
        needed = _copies_needed("".join(group))
        if needed is None or len(lines) < size * needed:
            continue
        copies = 1
        while lines[len(lines) - size * (copies + 1) : len(lines) - size * copies] == group:
            copies += 1
        if copies >= needed:
            return size * (copies - 1)
    return 0


def _copies_needed(group: str) -> int | None:
    """How many copies of a group of lines are a repetition; ``None``: no number is."""
    words = [word for word in _WORD.findall(group) if word[0].isalnum() or word[0] == "_"]
    if not words:
        return None
    if len(set(words)) == 1 or not any(map(_NAME.match, words)):
        return _ITEMS
    return _LINES - (sum(map(len, words)) >= _LONG_LINE)


def _first_copy_end(line: str) -> int | None:
    """Where the first copy of the piece ends that the end of a line repeats; ``None`` if it repeats none."""
    line, before = line[-_REACH:], max(0, len(line) - _REACH)
    words = list(_WORD.finditer(line))
    texts = [word.group() for word in words]
    for size in range(1, min(_LONGEST_PIECE, len(texts) // _COPIES) + 1):
        copied = _copied(texts, size)
        if copied >= size * (_COPIES - 1) and any(map(_NAME.match, texts[-size:])):
            return before + words[len(texts) - copied - 1].end()
    if not _RULERS.issuperset(line[-_TAIL:]):
        for size in range(1, _PIECE + 1):
            if (copied := _copied(line, size)) + size >= _TAIL:
                return before + len(line) - copied
    return None


def _copied(items: Sequence[str], size: int) -> int:
    """How many items at the end are equal to the item that stands ``size`` before them."""
    count = 0
    while count + size < len(items) and items[-1 - count] == items[-1 - count - size]:
        count += 1
    return count
