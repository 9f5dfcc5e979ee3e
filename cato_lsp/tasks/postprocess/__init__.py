"""Turns a model's raw answer into the text that is shown: a chain of small filters, one file each."""

from __future__ import annotations

from cato_lsp.tasks.postprocess.bracket_balance import drop_surplus_closers
from cato_lsp.tasks.postprocess.closers import drop_closers_that_follow
from cato_lsp.tasks.postprocess.complete import keep_complete_part
from cato_lsp.tasks.postprocess.context import Filter, ShapingContext
from cato_lsp.tasks.postprocess.indentation_style import use_document_indentation
from cato_lsp.tasks.postprocess.leading_blanks import reconcile_leading_blanks
from cato_lsp.tasks.postprocess.mid_line import fit_into_line
from cato_lsp.tasks.postprocess.partial_line import cut_at_sound_end
from cato_lsp.tasks.postprocess.pointless import drop_pointless
from cato_lsp.tasks.postprocess.repeated_lines import drop_repeated_lines
from cato_lsp.tasks.postprocess.suffix_overlap import drop_lines_that_follow
from cato_lsp.tasks.postprocess.trailing_blanks import strip_trailing_blanks

__all__ = ["CHAIN", "Filter", "ShapingContext", "shape"]

CHAIN: tuple[Filter, ...] = (
    keep_complete_part,
    cut_at_sound_end,
    use_document_indentation,
    reconcile_leading_blanks,
    # From here on the text is what would stand right at the cursor.
    fit_into_line,
    drop_lines_that_follow,
    drop_closers_that_follow,
    drop_surplus_closers,
    drop_repeated_lines,
    strip_trailing_blanks,
    drop_pointless,
)


def shape(raw: str, context: ShapingContext) -> str:
    """The text to insert at the cursor, ``""`` for nothing.

    :param raw: the model's answer, which continues the cursor's line without its trailing blanks.
    """
    text = raw.replace("\r\n", "\n").replace("\r", "\n")
    for apply in CHAIN:
        text = apply(text, context)
        if not text.strip():
            return ""
    return text
