"""Fits the start of an answer to the blanks before the cursor, which the prompt leaves out."""

from __future__ import annotations

import re

from cato_lsp.tasks.brackets import CLOSERS
from cato_lsp.tasks.cursor import Cursor
from cato_lsp.tasks.indentation import leading_blanks
from cato_lsp.tasks.postprocess.context import ShapingContext

_FIRST_WORD = re.compile(r"\w*")


def reconcile_leading_blanks(text: str, context: ShapingContext) -> str:
    """The text right at the cursor: after ``x = ``, an answer of ``" 1"`` becomes ``"1"``."""
    cursor = context.cursor
    if cursor.on_blank_line:
        return _on_blank_line(text, cursor)
    own = leading_blanks(text)
    return text[len(cursor.blanks if own.startswith(cursor.blanks) else own) :]


def _on_blank_line(text: str, cursor: Cursor) -> str:
    """Keep the part of the answer's indentation that the line lacks, or move the block."""
    lines = text.split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    if not lines:
        return ""
    style = cursor.indentation
    have, own = cursor.indent, style.of(lines[0])
    code = lines[0].lstrip(" \t")
    if own >= have:
        missing = style.render(own)
        missing = missing[len(cursor.line) :] if missing.startswith(cursor.line) else " " * (own - have)
        return "\n".join([missing + code, *lines[1:]])
    if code[0] in CLOSERS or _FIRST_WORD.match(code).group() in cursor.language.continuations:  # pyright: ignore[reportOptionalMemberAccess] - the pattern matches any text
        return ""  # belongs further left than the cursor stands
    others = [line for line in lines[1:] if line.strip()]
    if own == 0 and all(style.of(line) >= have for line in others):
        return "\n".join([code, *lines[1:]])
    shift = have - own
    return "\n".join([code, *(_move(line, shift, cursor) for line in lines[1:])])


def _move(line: str, shift: int, cursor: Cursor) -> str:
    if not line.strip():
        return ""
    style = cursor.indentation
    return style.render(style.of(line) + shift) + line.lstrip(" \t")
