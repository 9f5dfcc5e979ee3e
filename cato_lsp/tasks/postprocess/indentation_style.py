"""Adapts indentation to the document's style."""

from __future__ import annotations

from cato_lsp.tasks.cursor import Cursor
from cato_lsp.tasks.indentation import leading_blanks
from cato_lsp.tasks.postprocess.context import ShapingContext


def use_document_indentation(text: str, context: ShapingContext) -> str:
    """Write each line's indentation with the document's tabs or spaces, and in steps of its width."""
    cursor = context.cursor
    first, *others = text.split("\n")
    lines = [_restyle(line, cursor) for line in others]
    if cursor.on_blank_line:
        first = _restyle(first, cursor)
    return "\n".join(_rescale([first, *lines], cursor))


def _restyle(line: str, cursor: Cursor) -> str:
    blanks = leading_blanks(line)
    style = cursor.indentation
    return style.render(style.columns(blanks)) + line[len(blanks) :]


def _rescale(lines: list[str], cursor: Cursor) -> list[str]:
    """Change the width of a level, when a line that opens a block shows that the answer uses another one."""
    style = cursor.indentation
    head = cursor.line + lines[0]
    base = style.of(head)
    step = 0
    for above, line in zip([head, *lines[1:]], lines[1:], strict=False):
        if line.strip() and cursor.language.opens_level(above):
            step = style.of(line) - style.of(above)
            break
    if step <= 1 or step == style.width or not style.observed:
        return lines
    excess = [style.of(line) - base for line in lines[1:] if line.strip()]
    if any(columns % step for columns in excess):
        return lines
    return [
        lines[0],
        *(
            style.render(base + (style.of(line) - base) // step * style.width) + line.lstrip(" \t")
            if line.strip()
            else ""
            for line in lines[1:]
        ),
    ]
