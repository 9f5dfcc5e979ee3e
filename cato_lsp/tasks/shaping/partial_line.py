"""An answer that was cut short ends where code can end."""

from __future__ import annotations

import re

from cato_lsp.tasks.brackets import scan
from cato_lsp.tasks.cursor import Cursor
from cato_lsp.tasks.shaping.context import ShapingContext

_WORD_AT_END = re.compile(r"\w+\Z")
_DANGLING = " \t.,([{=+-*/%&|^<>!~?:@\\"


def cut_at_sound_end(text: str, context: ShapingContext) -> str:
    """Cut to whole lines with closed brackets; a single line, to its last whole token."""
    if not context.cut or text.endswith("\n"):
        return text
    *whole, partial = text.split("\n")
    while whole and not whole[-1].strip():
        whole.pop()
    if not whole:
        return "\n" * text.count("\n") + _cut_line(partial, context.cursor)
    for count in range(len(whole), 0, -1):
        lines = whole[:count]
        if not scan("\n".join(lines)).open and not context.cursor.language.opens_block(lines[-1]):
            return "\n".join(lines)
    return "\n".join(whole)


def _cut_line(line: str, cursor: Cursor) -> str:
    """Drop a last word that may lack its end, an open string, and operators without their right side."""
    line = _WORD_AT_END.sub("", line)
    quotes = cursor.language.quotes
    while quote := scan(line, quotes=quotes, quote=cursor.quote).quote:
        opened = line.rfind(quote)
        if opened < 0:  # the string began before the cursor: its text may end anywhere
            return line.rstrip(" \t")
        line = line[:opened]
    return line.rstrip(_DANGLING)
