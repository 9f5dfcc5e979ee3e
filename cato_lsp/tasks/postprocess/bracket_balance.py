"""Cuts closing brackets that have no opening one."""

from __future__ import annotations

from cato_lsp.tasks.brackets import scan
from cato_lsp.tasks.cursor import Cursor
from cato_lsp.tasks.postprocess.context import ShapingContext


def drop_surplus_closers(text: str, context: ShapingContext) -> str:
    """Cut the answer before a bracket that closes none in the answer or before the cursor.

    Only in languages with a grammar: a shell's ``case`` and prose have brackets that close nothing.
    """
    cursor, language = context.cursor, context.cursor.language
    if language.grammar is None:
        return text
    unmatched = scan(text, quotes=language.quotes, quote=cursor.quote).unmatched
    if not unmatched:
        return text
    available = [*_open_before(cursor), *cursor.quote]
    for offset, character in unmatched:
        if character not in available:
            return text[:offset]
        available.remove(character)
    return text


def _open_before(cursor: Cursor) -> list[str]:
    """Closers that are owed at the cursor; rather one too many than a right one cut.

    So brackets in strings count as opened, though they do not count as closed.
    """
    owed: list[str] = []
    for line in [*cursor.lines_above(), cursor.line]:
        for _, closer in scan(line, quotes=cursor.language.quotes).unmatched:
            if closer in owed:
                owed.remove(closer)
        owed += scan(line, quotes="").open
    return owed
