"""The input of the filters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cato_lsp.tasks.cursor import Cursor


@dataclass(frozen=True, slots=True)
class ShapingContext:
    """The surroundings and limits of one answer."""

    cursor: Cursor
    max_lines: int
    cut: bool = False
    """Whether the answer was ended by the time limit or its length limit."""
    markers: tuple[str, ...] = ()
    """Control tokens as text, for engines that do not keep them from the text."""


Filter = Callable[[str, ShapingContext], str]
"""Takes an answer and returns it improved or shortened; ``""`` if none of it should be shown."""
