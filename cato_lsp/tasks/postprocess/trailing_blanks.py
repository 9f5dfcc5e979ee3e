"""Removes blanks at line ends and blank lines at the end."""

from __future__ import annotations

from cato_lsp.tasks.brackets import CLOSERS
from cato_lsp.tasks.indentation import leading_blanks
from cato_lsp.tasks.postprocess.context import ShapingContext


def strip_trailing_blanks(text: str, context: ShapingContext) -> str:
    """Strip invisible blanks, but keep those that separate the answer from code after the cursor.

    Several lines before a closing bracket end in a line feed, so that the bracket stands below its head.
    """
    cursor = context.cursor
    stripped = "\n".join(line.rstrip() for line in text.split("\n")).rstrip()
    if cursor.has_code_after:
        return stripped + " " if text.endswith(" ") and not cursor.rest[0].isspace() else stripped
    if "\n" in stripped and cursor.rest.lstrip()[:1] in tuple(CLOSERS):
        return f"{stripped}\n{leading_blanks(cursor.line)}"
    return stripped
