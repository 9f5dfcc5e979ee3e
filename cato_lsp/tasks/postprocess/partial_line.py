"""Ends an incomplete answer where code can end."""

from __future__ import annotations

import re

from cato_lsp.tasks.brackets import OPENER_OF, scan
from cato_lsp.tasks.cursor import Cursor
from cato_lsp.tasks.postprocess.context import ShapingContext
from cato_lsp.tasks.syntax import has_errors_within

_WORD_AT_END = re.compile(r"\w+\Z")
_STRING_BEGIN = re.compile(r"(?:(?<!\w)[A-Za-z]\w?)?(?:(.)\1\1|.)\Z", re.DOTALL)
"""A quote or three at the end of the text, with the letters that say what kind of string it opens."""
_DANGLING = " \t.,([{=+-*/%&|^<>!~?:@\\"


def cut_at_sound_end(text: str, context: ShapingContext) -> str:
    """Cut to whole lines that parse, or have closed brackets; a single line, to its last whole token."""
    if not context.cut:
        return text
    *whole, partial = text.split("\n")
    while whole and not whole[-1].strip():
        whole.pop()
    if not whole:
        return "\n" * text.count("\n") + _cut_line(partial, context.cursor)
    boundaries = ["\n".join(whole[:count]) for count in range(len(whole), 0, -1)]
    closed = [lines for lines in boundaries if lines.strip() and _is_closed(lines, context.cursor)]
    return next((lines for lines in closed if _is_sound(lines, context.cursor)), closed[0] if closed else "")


def _is_closed(lines: str, cursor: Cursor) -> bool:
    """Whether no bracket and no string that spans lines is left open."""
    quotes = cursor.language.long_quotes
    return not scan(lines).open and not any(lines.count(quote) % 2 for quote in quotes)


def _is_sound(lines: str, cursor: Cursor) -> bool:
    """Whether the lines parse in place, and the last one does not open a block without a body."""
    if cursor.language.opens_block(lines):
        return False
    before = cursor.above + cursor.line.rstrip(" \t")
    return not has_errors_within(cursor.language.id, before, lines, f"{cursor.rest}\n{cursor.below}")


def _cut_line(line: str, cursor: Cursor) -> str:
    """Drop a last word that may lack its end, what is left open, operators without their right side, empty comments."""
    line = _WORD_AT_END.sub("", line)
    while (opened := _last_opened(line, cursor)) is not None:
        if opened < 0:  # the string began before the cursor: its text may end anywhere
            return line.rstrip(" \t\\")
        line = line[:opened]
    line = line.rstrip(_DANGLING)
    for mark in cursor.language.line_comments:
        line = line.removesuffix(mark).rstrip(_DANGLING)
    return line


def _last_opened(line: str, cursor: Cursor) -> int | None:
    """Where a string or bracket begins that stays open, or one within it; ``None`` if none does.

    Negative for a string that began before the line.
    """
    state = scan(line, quotes=cursor.language.quotes, quote=cursor.quote)
    if state.quote:
        opened = line.rfind(state.quote)
        return len(_STRING_BEGIN.sub("", line[: opened + 1])) if opened >= 0 else -1
    return line.rfind(OPENER_OF[state.open[-1]]) if state.open else None
