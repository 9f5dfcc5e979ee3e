"""Indentation of lines, and the style that a text uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

_TAB_WIDTH = 4


@dataclass(frozen=True, slots=True)
class Indentation:
    """The style of a document: tabs, or a number of spaces per level."""

    tabs: bool
    width: int
    """Columns of one level."""
    observed: bool = False
    """Whether the document itself shows the width."""

    def render(self, columns: int) -> str:
        """Blanks that are ``columns`` wide in this style."""
        if not self.tabs:
            return " " * columns
        return "\t" * (columns // self.width) + " " * (columns % self.width)

    def columns(self, blanks: str) -> int:
        """How wide ``blanks`` are in this style: a tab is one level."""
        return sum(self.width if blank == "\t" else 1 for blank in blanks)

    def of(self, line: str) -> int:
        """Columns before the first character of ``line`` that is not blank."""
        return self.columns(leading_blanks(line))


def leading_blanks(line: str) -> str:
    """The spaces and tabs a line begins with."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def detect_indentation(lines: list[str], default: Indentation, opens_level: Callable[[str], bool]) -> Indentation:
    """The style of most lines of a document, ``default`` if they show none.

    The width of a level is the usual difference between a block opener and the next line. Hanging indents and comments
    do not count.
    """
    tabs = sum(line.startswith("\t") for line in lines)
    spaces = sum(line.startswith("  ") for line in lines)
    if tabs > spaces:
        return Indentation(tabs=True, width=_TAB_WIDTH)
    steps: Counter[int] = Counter()
    for above, line in pairwise(line for line in lines if line.strip()):
        step = len(leading_blanks(line)) - len(leading_blanks(above))
        if 1 < step <= 8 and opens_level(above):
            steps[step] += 1
    if steps:
        return Indentation(tabs=False, width=steps.most_common(1)[0][0], observed=True)
    return Indentation(tabs=False, width=default.width) if spaces else default
