"""What the filters of the shaping chain know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cato_lsp.tasks.cursor import Cursor


@dataclass(frozen=True, slots=True)
class ShapingContext:
    """One answer's surroundings and limits."""

    cursor: Cursor
    max_lines: int
    cut: bool = False
    """The answer was ended from outside: by its deadline or its longest length."""
    markers: tuple[str, ...] = ()
    """Control tokens as text, for engines that do not keep them from the text."""


Filter = Callable[[str, ShapingContext], str]
"""Takes an answer, returns it better or shorter; ``""`` when nothing of it should be shown."""
