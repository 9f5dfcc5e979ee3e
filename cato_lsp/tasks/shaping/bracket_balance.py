"""No closing bracket without an opening one."""

from __future__ import annotations

from cato_lsp.tasks.brackets import scan
from cato_lsp.tasks.shaping.context import ShapingContext


def drop_surplus_closers(text: str, context: ShapingContext) -> str:
    """Cut the answer before a bracket that closes nothing, neither in it nor before the cursor.

    Only in languages with a grammar: a shell's ``case`` and prose have brackets that close nothing.
    """
    cursor, language = context.cursor, context.cursor.language
    if language.grammar is None:
        return text
    unmatched = scan(text, quotes=language.quotes, quote=cursor.quote).unmatched
    if not unmatched:
        return text
    # Brackets in strings count here: rather one closer too many than a right one cut.
    before = [*cursor.lines_above(), cursor.line]
    available = [closer for line in before for closer in scan(line, quotes="").open]
    available += cursor.quote
    for offset, character in unmatched:
        if character not in available:
            return text[:offset]
        available.remove(character)
    return text
