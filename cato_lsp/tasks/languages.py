"""What the rules for completion need to know of a programming language.

Languages not listed work by indentation alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module

from tree_sitter import Language, Parser, Tree

_PART = 1024
"""Bytes that are parsed at a time."""


@dataclass(frozen=True, slots=True)
class DocumentLanguage:
    """Lexical facts of a language, by its LSP ``languageId``."""

    id: str = ""
    line_comments: tuple[str, ...] = ()
    block_comments: tuple[tuple[str, str], ...] = ()
    openers: tuple[str, ...] = (":", "{", "(", "[", "=>", "->")
    """Ends of a line after which an indented block, or the rest of a bracket, begins."""
    continuations: tuple[str, ...] = ("else", "elif", "except", "finally", "catch", "case", "default", "end")
    """First words of a line that goes on with a block, or ends it, at the indentation of its head."""
    quotes: str = "\"'"
    long_quotes: tuple[str, ...] = ()
    """Quotes whose strings may span lines."""
    indent_width: int = 4
    tabs: bool = False
    """Indentation where the document itself shows none."""
    grammar: tuple[str, str] | None = None
    """Module of the tree-sitter grammar and the name of its function."""

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


_C_STYLE = DocumentLanguage(
    line_comments=("//",),
    block_comments=(("/*", "*/"),),
    openers=("{", "(", "[", "=>"),
    continuations=("else", "catch", "finally", "case", "default"),
)
_SCRIPT = replace(_C_STYLE, quotes="\"'`", long_quotes=("`",), indent_width=2)
_HASH = DocumentLanguage(line_comments=("#",))
_MARKUP = DocumentLanguage(
    block_comments=(("<!--", "-->"),), openers=(">",), continuations=(), quotes='"', indent_width=2
)

_LANGUAGES = {
    language.id: language
    for language in (
        replace(
            _HASH,
            id="python",
            openers=(":", "{", "(", "["),
            continuations=("else", "elif", "except", "finally"),
            long_quotes=('"""', "'''"),
            grammar=("tree_sitter_python", "language"),
        ),
        replace(_SCRIPT, id="javascript", grammar=("tree_sitter_javascript", "language")),
        replace(_SCRIPT, id="javascriptreact", grammar=("tree_sitter_javascript", "language")),
        replace(_SCRIPT, id="typescript", grammar=("tree_sitter_typescript", "language_typescript")),
        replace(_SCRIPT, id="typescriptreact", grammar=("tree_sitter_typescript", "language_tsx")),
        replace(_C_STYLE, id="java", grammar=("tree_sitter_java", "language")),
        replace(
            _C_STYLE,
            id="go",
            openers=("{", "(", "[", ":"),
            long_quotes=("`",),
            tabs=True,
            grammar=("tree_sitter_go", "language"),
        ),
        replace(_C_STYLE, id="rust", quotes='"', grammar=("tree_sitter_rust", "language")),
        replace(_C_STYLE, id="c", openers=("{", "(", "["), grammar=("tree_sitter_c", "language")),
        replace(_C_STYLE, id="cpp", openers=("{", "(", "["), grammar=("tree_sitter_cpp", "language")),
        replace(_C_STYLE, id="csharp"),
        replace(_C_STYLE, id="kotlin", openers=("{", "(", "[", "->")),
        replace(_C_STYLE, id="swift", quotes='"'),
        replace(_C_STYLE, id="php", line_comments=("//", "#")),
        replace(_C_STYLE, id="scala", indent_width=2),
        replace(_C_STYLE, id="css", line_comments=(), indent_width=2),
        replace(
            _HASH,
            id="ruby",
            openers=("do", "|", "{", "(", "[", "then"),
            continuations=("else", "elsif", "rescue", "ensure", "when", "end"),
            indent_width=2,
        ),
        replace(
            _HASH,
            id="shellscript",
            openers=("{", "(", "do", "then", "else"),
            continuations=("else", "elif", "fi", "done", "esac"),
            indent_width=2,
        ),
        replace(_HASH, id="yaml", openers=(":", "-", "|", ">"), continuations=(), indent_width=2),
        replace(_HASH, id="toml", openers=("[", "{", '"""')),
        replace(_HASH, id="makefile", openers=(":", "\\"), tabs=True),
        DocumentLanguage(
            id="lua",
            line_comments=("--",),
            openers=("do", "then", "{", "(", ")", "else"),
            continuations=("else", "elseif", "end", "until"),
        ),
        DocumentLanguage(id="sql", line_comments=("--",), openers=("(", ","), continuations=()),
        DocumentLanguage(id="json", openers=("{", "[", ":"), continuations=(), quotes='"', indent_width=2),
        replace(_MARKUP, id="html"),
        replace(_MARKUP, id="xml"),
        DocumentLanguage(id="markdown", openers=(), continuations=(), quotes=""),
        DocumentLanguage(id="plaintext", openers=(), continuations=(), quotes=""),
    )
}


def language_of(language_id: str) -> DocumentLanguage:
    """Facts of a language; for one that is not listed, the rules that hold for most."""
    return _LANGUAGES.get(language_id) or DocumentLanguage(id=language_id)


def parser_of(language_id: str) -> Parser | None:
    """A tree-sitter parser for the language, ``None`` if there is no grammar for it here.

    A new one each time: two threads must not use the same parser.
    """
    grammar = _grammar_of(language_id)
    return None if grammar is None else Parser(grammar)


def syntax_tree(language_id: str, source: bytes) -> Tree | None:
    """The syntax tree of a source, ``None`` if there is no grammar for its language here.

    A large source is handed over in parts. tree-sitter holds Python's global lock while it parses; between two parts
    other threads get it, above all the event loop's.
    """
    parser = parser_of(language_id)
    if parser is None or len(source) <= _PART:
        return None if parser is None else parser.parse(source)
    return parser.parse(lambda offset, _point: source[offset : offset + _PART])


@lru_cache(maxsize=32)
def _grammar_of(language_id: str) -> Language | None:
    grammar = language_of(language_id).grammar
    if grammar is None:
        return None
    module, function = grammar
    capsule: object = getattr(import_module(module), function)()
    return Language(capsule)
