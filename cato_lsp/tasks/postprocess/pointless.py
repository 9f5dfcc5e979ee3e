"""Drops answers that change nothing."""

from __future__ import annotations

from cato_lsp.tasks.postprocess.context import ShapingContext


def drop_pointless(text: str, context: ShapingContext) -> str:
    """Return nothing if the answer is blank or equal to the text after the cursor."""
    cursor = context.cursor
    if not text.strip() or (cursor.rest.strip() and cursor.rest.strip().startswith(text.strip())):
        return ""
    written = [line.strip() for line in (cursor.line + text + cursor.rest).split("\n") if line.strip()]
    below = [line.strip() for line in cursor.lines_below()[: len(written)]]
    telling = sum(character.isalnum() for line in written for character in line) > 1
    return "" if written == below and telling else text
