"""Places to fill in a text, and where its lines, words and blocks end."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Hole:
    """A place to fill: the middle is ``text[start:end]``; its first ``typed`` characters stand there."""

    start: int
    end: int
    typed: int


def pick_hole(text: str, rng: Random) -> Hole:
    """A place as one leaves it while typing: mostly one line, else the rest of a block, else any span."""
    kind = rng.random()
    if kind > 0.95:
        start = rng.randrange(len(text))
        return Hole(start, _word_end(text, start + int(rng.expovariate(1 / 80)) + 1), 0)
    start = line_start(text, rng.randrange(len(text)))
    while text.startswith("\n", start):
        start += 1
    start = min(start, len(text) - 1)
    line_end = line_end_at(text, start)
    length = line_end - start
    indent = length - len(text[start:line_end].lstrip())
    typed = indent + int(rng.random() * (length - indent + 1)) if rng.random() < 0.8 else 0
    if kind > 0.72:
        return Hole(start, block_end(text, start, rng.choice((3, 6, 12))), typed)
    if rng.random() < 0.1 and typed < length:
        return Hole(start, min(_word_end(text, start + rng.randint(typed + 1, length)), line_end), typed)
    return Hole(start, line_end, typed)


def block_end(text: str, start: int, most_lines: int) -> int:
    """End of the block of the line at ``start``: the last line before the first that is indented less."""
    end = line_end = line_end_at(text, start)
    indent = _indent(text[start:line_end])
    for _ in range(most_lines - 1):
        if line_end >= len(text):
            break
        line_start, line_end = line_end + 1, line_end_at(text, line_end + 1)
        line = text[line_start:line_end]
        if line.strip():
            if _indent(line) < indent:
                break
            end = line_end
    return end


def text_after(text: str, start: int, chars: int, rng: Random) -> str:
    """Text from ``start`` on, to a line end near ``chars``; at times only the rest of the line, or none."""
    chance = rng.random()
    if chance < 0.12 and text.startswith("\n", start):
        return ""
    if chance < 0.2:
        return text[start : line_end_at(text, start)]
    cut = min(len(text), start + chars)
    return text[start : line_end_at(text, cut) + 1]


def line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def line_end_at(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _word_end(text: str, position: int) -> int:
    """The first end of a word at or after ``position``: an answer never ends within one."""
    while (
        0 < position < len(text)
        and text[position - 1].isalnum()
        and (text[position].isalnum() or text[position] == "_")
    ):
        position += 1
    return min(position, len(text))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
