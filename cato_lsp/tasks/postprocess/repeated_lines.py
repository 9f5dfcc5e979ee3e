"""Drops answers that repeat the lines above."""

from __future__ import annotations

from cato_lsp.tasks.postprocess.context import ShapingContext

_TELLING = 6
"""Only a single line with at least this many letters and digits counts as repeated."""


def drop_repeated_lines(text: str, context: ShapingContext) -> str:
    """Return nothing if the answer repeats the line or the lines directly above."""
    cursor = context.cursor
    written = cursor.line + text + cursor.rest
    lines = [line.strip() for line in written.split("\n") if line.strip()]
    above = [line.strip() for line in cursor.lines_above()[-max(1, len(lines)) :]]
    if not lines or not above:
        return text
    telling = sum(character.isalnum() for character in lines[0]) >= _TELLING
    if telling and lines[0] == above[-1]:
        return ""
    return "" if len(lines) > 1 and lines == above else text
