"""No blanks at the end of lines, no blank lines at the end."""

from __future__ import annotations

from cato_lsp.tasks.shaping.context import ShapingContext


def strip_trailing_blanks(text: str, context: ShapingContext) -> str:
    """Strip blanks nobody sees; one before code that follows on the line stays, it belongs there."""
    stripped = "\n".join(line.rstrip() for line in text.split("\n")).rstrip()
    before_code = context.cursor.has_code_after and not context.cursor.rest[0].isspace()
    return stripped + " " if before_code and text.endswith(" ") else stripped
