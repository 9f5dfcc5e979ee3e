"""Limits an answer in the middle of a line to that line."""

from __future__ import annotations

from cato_lsp.tasks.postprocess.context import ShapingContext


def fit_into_line(text: str, context: ShapingContext) -> str:
    """When code follows the cursor on its line: one line, without what repeats that code."""
    cursor = context.cursor
    if not cursor.has_code_after:
        return text
    line = text.split("\n", 1)[0]
    rest = cursor.rest.rstrip()
    for wanted in (rest, rest.lstrip()):
        found = line.find(wanted)
        if found >= 0:
            return line[:found]
    return line[: len(line) - _overlap(line, rest)]


def _overlap(line: str, rest: str) -> int:
    """Length of the longest end of ``line`` that ``rest`` begins with; a lone letter is chance."""
    for length in range(min(len(line), len(rest)), 0, -1):
        if line.endswith(rest[:length]):
            chance = length == 1 and (rest[0].isalnum() or rest[0].isspace())
            return 0 if chance else length
    return 0
