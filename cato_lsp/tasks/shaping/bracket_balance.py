"""No closing bracket without an opening one."""

from __future__ import annotations

from cato_lsp.tasks.brackets import scan
from cato_lsp.tasks.shaping.context import ShapingContext


def drop_surplus_closers(text: str, context: ShapingContext) -> str:
    """Cut the answer before a bracket that closes nothing, neither in it nor before the cursor."""
    cursor = context.cursor
    unmatched = scan(text, quotes=cursor.language.quotes, quote=cursor.quote).unmatched
    if not unmatched:
        return text
    owed = [scan(line, quotes=cursor.language.quotes).open for line in cursor.lines_above()]
    available = [character for line in owed for character in line]
    available += scan(cursor.line, quotes=cursor.language.quotes).open
    available += cursor.quote
    for offset, character in unmatched:
        if character not in available:
            return text[:offset]
        available.remove(character)
    return text
