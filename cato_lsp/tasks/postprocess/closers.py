"""Handles closing brackets and quotes that already follow the cursor."""

from __future__ import annotations

from cato_lsp.tasks.brackets import scan
from cato_lsp.tasks.cursor import Cursor
from cato_lsp.tasks.postprocess.context import ShapingContext


def drop_closers_that_follow(text: str, context: ShapingContext) -> str:
    """Cut closing brackets and quotes from the end of the answer that the editor has already inserted."""
    cursor = context.cursor
    matched = _matched(text, cursor)
    if not matched:
        return text
    tail = text[matched[0] :].rstrip()
    return text[: matched[0]] if cursor.rest.lstrip().startswith(tail) else text


def closers_to_replace(text: str, cursor: Cursor) -> int:
    """How many characters after the cursor the shaped answer repeats before it goes on.

    After ``print(`` with ``)`` behind the cursor, ``x).close()`` has to take the place of that bracket.
    """
    matched = _matched(text, cursor)
    if not matched:
        return 0
    return len(cursor.rest) - len(cursor.rest.lstrip()) + len(matched)


def _matched(text: str, cursor: Cursor) -> list[int]:
    """Offsets in ``text`` of its unmatched closers that stand, in order, right after the cursor."""
    rest = cursor.rest.lstrip()
    if cursor.has_code_after or not rest:
        return []
    unmatched = scan(text, quotes=cursor.language.quotes, quote=cursor.quote).unmatched
    matched: list[int] = []
    for (offset, character), following in zip(unmatched, rest, strict=False):
        if character != following:
            break
        matched.append(offset)
    return matched
