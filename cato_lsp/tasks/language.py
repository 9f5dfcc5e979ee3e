"""The facts of one programming language; `cato_lsp.tasks.languages` has the table of all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DocStyle(StrEnum):
    """Where the documentation of a symbol stands."""

    DOCSTRING = "docstring"
    """The first statement of the body (PEP 257)."""
    BLOCK_COMMENT = "block comment"
    """A ``/** */`` comment above (JSDoc, Javadoc, Doxygen)."""
    LINE_COMMENTS = "line comments"
    """Comment lines above that begin with `DocumentLanguage.doc_mark` (Go Doc Comments, rustdoc)."""


class ImportStyle(StrEnum):
    """How a file names the other files of its project."""

    PYTHON = "python"
    SCRIPT = "script"
    """``import … from './module'``."""
    INCLUDE = "include"
    """``#include "file"``."""


@dataclass(frozen=True, slots=True)
class DocumentLanguage:
    """Facts of a language."""

    id: str = ""
    """LSP ``languageId``."""
    name: str = ""
    """The name that people use."""
    extension: str = "txt"
    """The usual file name extension, without the dot."""
    translation_target: bool = False
    """Whether it is offered as the target of a translation."""
    line_comments: tuple[str, ...] = ()
    block_comments: tuple[tuple[str, str], ...] = ()
    doc_style: DocStyle | None = None
    """``None``: documentation is not written."""
    doc_mark: str = ""
    """What a line of documentation begins with, for `DocStyle.LINE_COMMENTS`."""
    doc_starts: tuple[str, ...] = ("/**", "///", "/*!")
    """Beginnings of the comments that document what follows; other comments are left alone."""
    import_style: ImportStyle | None = None
    openers: tuple[str, ...] = (":", "{", "(", "[", "=>", "->")
    """Ends of a line after which an indented block, or the rest of a bracket, begins."""
    indented_blocks: bool = False
    """Blocks are marked by their indentation, without braces or a last word."""
    continuations: tuple[str, ...] = ("else", "elif", "except", "finally", "catch", "case", "default", "end")
    """First words of a line that continues or ends a block, at the indentation of its head."""
    quotes: str = "\"'"
    long_quotes: tuple[str, ...] = ()
    """Quotes whose strings may span lines."""
    indent_width: int = 4
    tabs: bool = False
    """Indentation in a document that shows none."""
    grammar: tuple[str, str] | None = None
    """Module of the tree-sitter grammar, and the name of its function."""

    def opens_block(self, line: str) -> bool:
        """Whether the line, comments aside, ends in a block opener."""
        code = line.rstrip()
        return code.endswith(self.openers) and not self.is_comment(code)

    def opens_level(self, line: str) -> bool:
        """Whether the next line stands one level deeper; after an open bracket it may stand anywhere."""
        return self.opens_block(line) and not line.rstrip().endswith(("(", "["))

    def is_comment(self, line: str) -> bool:
        """Whether the line holds nothing but a comment."""
        return bool(self.line_comments) and line.lstrip().startswith(self.line_comments)
