"""Cuts lines that are already below the cursor."""

from __future__ import annotations

from cato_lsp.tasks.postprocess.context import ShapingContext


def drop_lines_that_follow(text: str, context: ShapingContext) -> str:
    """Cut the answer where the rest of its lines are the next lines of the document."""
    cursor = context.cursor
    lines = text.split("\n")
    below = [line.rstrip() for line in cursor.lines_below()]
    for index in range(0 if cursor.on_blank_line else 1, len(lines)):
        whole = (cursor.line if index == 0 else "") + lines[index]
        tail = [whole.rstrip(), *(line.rstrip() for line in lines[index + 1 :] if line.strip())]
        if whole.strip() and below[: len(tail)] == tail:
            return "\n".join(lines[:index])
    return text
