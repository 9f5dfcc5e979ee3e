"""The surroundings of a cursor, for stop rules and postprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cato_lsp.tasks.brackets import scan
from cato_lsp.tasks.indentation import Indentation, detect_indentation, leading_blanks
from cato_lsp.tasks.languages import DocumentLanguage, language_of, parser_of, syntax_tree
from cato_lsp.tasks.window import plain

_REACH = 4000
"""Characters on each side that rules read, so that their cost does not depend on the document's length."""
_ONLY_CLOSERS = frozenset(")]}>\"'`,;: \t")


class Mode(StrEnum):
    """The extent of an answer."""

    LINE = "line"
    """The rest of the current line."""
    BLOCK = "block"
    """Lines until the block that begins at the cursor is complete."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A bounded part of the text around a cursor, with line feeds as line endings."""

    above: str
    """Lines above the current one."""
    line: str
    """The current line up to the cursor."""
    rest: str
    """The current line from the cursor on."""
    below: str
    """Lines below the current one."""
    language: DocumentLanguage
    indentation: Indentation
    mode: Mode

    @classmethod
    def at(cls, text: str, offset: int, language_id: str) -> Cursor:
        """The surroundings of ``offset``. Cost does not depend on the length of ``text``."""
        reach = max(0, offset - _REACH)
        above, feed, line = plain(text[reach:offset]).rpartition("\n")
        rest, _, below = plain(text[offset : offset + _REACH]).partition("\n")
        language = language_of(language_id)
        default = Indentation(tabs=language.tabs, width=language.indent_width)
        lines = [*above.split("\n"), *below.split("\n")]
        style = detect_indentation(lines, default, language.opens_level)
        mode = _mode(language, above, line, rest, below)
        return cls(above + feed, line, rest, below, language, style, mode)

    @property
    def on_blank_line(self) -> bool:
        """Whether the line has only blanks before the cursor."""
        return not self.line.strip()

    @property
    def has_code_after(self) -> bool:
        """Whether the rest of the line has more than closing brackets, quotes and punctuation."""
        return not _ONLY_CLOSERS.issuperset(self.rest)

    @property
    def blanks(self) -> str:
        """The blanks right before the cursor, which the prompt leaves out."""
        return self.line[len(self.line.rstrip(" \t")) :]

    @property
    def indent(self) -> int:
        """Columns of the current line's indentation."""
        return self.indentation.columns(leading_blanks(self.line))

    @property
    def quote(self) -> str:
        """The quote of the string that the cursor is in, judged by its line."""
        return scan(self.line, quotes=self.language.quotes).quote

    @property
    def in_comment(self) -> bool:
        """Whether the cursor is in a comment, or in a string that may span lines, such as a docstring."""
        language, above = self.language, self.above.removesuffix("\n")
        if language.is_comment(self.line) or _in_long_string(language, f"{above}\n{self.line}"):
            return True
        return _in_text(language, above, self.line, self.rest, self.below) == "comment"

    def lines_below(self) -> list[str]:
        """The non-empty lines below."""
        return [line for line in self.below.split("\n") if line.strip()]

    def lines_above(self) -> list[str]:
        """The non-empty lines above, the nearest last."""
        return [line for line in self.above.split("\n") if line.strip()]


def _mode(language: DocumentLanguage, above: str, line: str, rest: str, below: str) -> Mode:
    if not _ONLY_CLOSERS.issuperset(rest) or language.is_comment(line):
        return Mode.LINE
    if line.strip():
        if not language.opens_block(line) or _in_comment_or_string(language, above, line, rest, below):
            return Mode.LINE
        return Mode.BLOCK
    return Mode.LINE if _in_comment_or_string(language, above, line, rest, below) else Mode.BLOCK


def _in_comment_or_string(language: DocumentLanguage, above: str, line: str, rest: str, below: str) -> bool:
    """Whether the cursor is inside a comment or string, by the grammar or else by the lines alone."""
    if _in_long_string(language, f"{above}\n{line}"):
        return True
    if parser_of(language.id) is None:
        return bool(scan(line, quotes=language.quotes).quote)
    return bool(_in_text(language, above, line, rest, below))


def _in_text(language: DocumentLanguage, above: str, line: str, rest: str, below: str) -> str:
    """``comment`` or ``string``, if the grammar sees the cursor inside of one."""
    head = f"{above}\n{line}".encode()
    tree = syntax_tree(language.id, head + f"{rest}\n{below}".encode())
    if tree is None:
        return ""
    node = tree.root_node.descendant_for_byte_range(max(0, len(head) - 1), len(head))
    while node is not None:
        if "comment" in node.type and node.start_byte < len(head) <= node.end_byte:
            return "comment"
        if "string" in node.type and node.start_byte < len(head) < node.end_byte:
            return "string"
        node = node.parent
    return ""


def _in_long_string(language: DocumentLanguage, before: str) -> bool:
    """Whether ``before`` ends in an open string that spans lines, which a parser cannot detect.

    ``before`` may begin anywhere, so quotes cannot be counted from its start. The last one is judged by its position.
    """
    at, quote = max((before.rfind(quote), quote) for quote in language.long_quotes or ("\0",))
    if at < 0 or len(quote) < 3:
        return False
    start = before.rfind("\n", 0, at) + 1
    end = before.find("\n", at)
    quoted_line = before[start : end if end >= 0 else len(before)]
    if quoted_line.count(quote) > 1:
        return False
    lead, _, follow = quoted_line.partition(quote)
    above = before[:start].rstrip().rpartition("\n")[2]
    if language.opens_block(above) and not lead.strip():
        return True
    opened_by = lead.rstrip(" rRbBfFuU").endswith(("=", "(", ",", "[", "{", ":", "return"))
    return bool(opened_by or (not lead.strip() and follow.strip() and follow.strip()[0].isalnum()))
