"""The one table of what the project knows of programming languages.

Lists of languages in the editors' clients are generated from it. A language that is not listed works by indentation
alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib import import_module

from tree_sitter import Language, Parser, Tree

from cato_lsp.tasks.language import DocStyle, DocumentLanguage, ImportStyle

_PART = 1024
"""Bytes that are parsed at a time."""

_C_STYLE = DocumentLanguage(
    line_comments=("//",),
    block_comments=(("/*", "*/"),),
    openers=("{", "(", "[", "=>"),
    continuations=("else", "catch", "finally", "case", "default"),
)
_C = replace(_C_STYLE, openers=("{", "(", "["), doc_style=DocStyle.BLOCK_COMMENT, import_style=ImportStyle.INCLUDE)
_SCRIPT = replace(
    _C_STYLE,
    quotes="\"'`",
    long_quotes=("`",),
    indent_width=2,
    doc_style=DocStyle.BLOCK_COMMENT,
    import_style=ImportStyle.SCRIPT,
)
_HASH = DocumentLanguage(line_comments=("#",))
_MARKUP = DocumentLanguage(
    block_comments=(("<!--", "-->"),), openers=(">",), continuations=(), quotes='"', indent_width=2
)

_WITH_GRAMMAR = (
    replace(
        _HASH,
        id="python",
        name="Python",
        extension="py",
        translation_target=True,
        doc_style=DocStyle.DOCSTRING,
        import_style=ImportStyle.PYTHON,
        openers=(":", "{", "(", "["),
        indented_blocks=True,
        continuations=("else", "elif", "except", "finally"),
        long_quotes=('"""', "'''"),
        grammar=("tree_sitter_python", "language"),
    ),
    replace(
        _SCRIPT,
        id="javascript",
        name="JavaScript",
        extension="js",
        translation_target=True,
        grammar=("tree_sitter_javascript", "language"),
    ),
    replace(
        _SCRIPT,
        id="javascriptreact",
        name="JavaScript JSX",
        extension="jsx",
        grammar=("tree_sitter_javascript", "language"),
    ),
    replace(
        _SCRIPT,
        id="typescript",
        name="TypeScript",
        extension="ts",
        translation_target=True,
        grammar=("tree_sitter_typescript", "language_typescript"),
    ),
    replace(
        _SCRIPT,
        id="typescriptreact",
        name="TypeScript JSX",
        extension="tsx",
        grammar=("tree_sitter_typescript", "language_tsx"),
    ),
    replace(
        _C_STYLE,
        id="java",
        name="Java",
        extension="java",
        translation_target=True,
        doc_style=DocStyle.BLOCK_COMMENT,
        grammar=("tree_sitter_java", "language"),
    ),
    replace(
        _C_STYLE,
        id="go",
        name="Go",
        extension="go",
        translation_target=True,
        doc_style=DocStyle.LINE_COMMENTS,
        doc_mark="// ",
        doc_starts=("//", "/*"),
        openers=("{", "(", "[", ":"),
        long_quotes=("`",),
        tabs=True,
        grammar=("tree_sitter_go", "language"),
    ),
    replace(
        _C_STYLE,
        id="rust",
        name="Rust",
        extension="rs",
        translation_target=True,
        doc_style=DocStyle.LINE_COMMENTS,
        doc_mark="/// ",
        doc_starts=("///", "/**"),
        quotes='"',
        grammar=("tree_sitter_rust", "language"),
    ),
    replace(_C, id="c", name="C", extension="c", translation_target=True, grammar=("tree_sitter_c", "language")),
    replace(
        _C, id="cpp", name="C++", extension="cpp", translation_target=True, grammar=("tree_sitter_cpp", "language")
    ),
)

_WITHOUT_GRAMMAR = (
    replace(_C_STYLE, id="csharp", name="C#", extension="cs"),
    replace(_C_STYLE, id="kotlin", name="Kotlin", extension="kt", openers=("{", "(", "[", "->")),
    replace(_C_STYLE, id="swift", name="Swift", extension="swift", quotes='"'),
    replace(_C_STYLE, id="php", name="PHP", extension="php", line_comments=("//", "#")),
    replace(_C_STYLE, id="scala", name="Scala", extension="scala", indent_width=2),
    replace(_C_STYLE, id="css", name="CSS", extension="css", line_comments=(), indent_width=2),
    replace(
        _HASH,
        id="ruby",
        name="Ruby",
        extension="rb",
        openers=("do", "|", "{", "(", "[", "then"),
        continuations=("else", "elsif", "rescue", "ensure", "when", "end"),
        indent_width=2,
    ),
    replace(
        _HASH,
        id="shellscript",
        name="shell script",
        extension="sh",
        openers=("{", "(", "do", "then", "else"),
        continuations=("else", "elif", "fi", "done", "esac"),
        indent_width=2,
    ),
    replace(
        _HASH,
        id="yaml",
        name="YAML",
        extension="yaml",
        openers=(":", "-", "|", ">"),
        continuations=(),
        indent_width=2,
    ),
    replace(_HASH, id="toml", name="TOML", extension="toml", openers=("[", "{", '"""')),
    replace(_HASH, id="makefile", name="Makefile", extension="mk", openers=(":", "\\"), tabs=True),
    DocumentLanguage(
        id="lua",
        name="Lua",
        extension="lua",
        line_comments=("--",),
        openers=("do", "then", "{", "(", ")", "else"),
        continuations=("else", "elseif", "end", "until"),
    ),
    DocumentLanguage(
        id="sql", name="SQL", extension="sql", line_comments=("--",), openers=("(", ","), continuations=()
    ),
    DocumentLanguage(
        id="json",
        name="JSON",
        extension="json",
        openers=("{", "[", ":"),
        continuations=(),
        quotes='"',
        indent_width=2,
    ),
    replace(_MARKUP, id="html", name="HTML", extension="html"),
    replace(_MARKUP, id="xml", name="XML", extension="xml"),
    DocumentLanguage(id="markdown", name="Markdown", extension="md", openers=(), continuations=(), quotes=""),
    DocumentLanguage(id="plaintext", name="plain text", openers=(), continuations=(), quotes=""),
)

LANGUAGES = {language.id: language for language in (*_WITH_GRAMMAR, *_WITHOUT_GRAMMAR)}
"""All languages of the table, by LSP language id."""


def language_of(language_id: str) -> DocumentLanguage:
    """Facts of a language; for one that is not listed, the rules that hold for most."""
    return LANGUAGES.get(language_id) or DocumentLanguage(id=language_id, name=language_id)


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
