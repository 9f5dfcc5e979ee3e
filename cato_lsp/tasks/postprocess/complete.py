"""Keeps the part of an answer that the stop rules call complete."""

from __future__ import annotations

from cato_lsp.tasks.postprocess.context import ShapingContext
from cato_lsp.tasks.stop import StopRules


def keep_complete_part(text: str, context: ShapingContext) -> str:
    """Cut control tokens, lines out of scope, loops, and lines beyond the limit."""
    rules = StopRules(context.cursor, max_lines=context.max_lines, markers=context.markers)
    rules.feed(text)
    return f"{rules.text}\n" if rules.broken_off else rules.text
