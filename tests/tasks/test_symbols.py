"""Symbols of source files, their documentation, and edits that document them."""

from __future__ import annotations

import ast
import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.tasks.doc_comments import document, without_doc
from cato_lsp.tasks.symbols import Outline, SymbolKind, syntax_errors

SOURCES = {
    "python": (
        'import os\n\n@cache\nclass A(B):\n    """Old é漢."""\n\n    def f(self):\n        return 1\n\n\n'
        "async def g(): pass\n",
        ["A", "f", "g"],
    ),
    "javascript": (
        'import x from "y";\n\n/** Old. */\nexport function f(a) { return a; }\n'
        "class A {\n  m(x) { return 1 }\n}\n// a note\nconst g = (x) => x;\n",
        ["f", "A", "m", "g"],
    ),
    "typescript": (
        "interface I { a: string }\nexport abstract class A {\n  private m(x: number) { return 1 }\n}\n"
        "namespace N {\n  function q() {}\n}\ntype T = string;\n",
        ["I", "A", "m", "N", "q", "T"],
    ),
    "java": (
        "package a;\n\npublic class A {\n  int x;\n\n  /** Old. */\n  @Override\n"
        "  public int f(int a) { return 1; }\n}\n",
        ["A", "f"],
    ),
    "go": (
        "package a\n\n// F does.\nfunc F(a int) int { return 1 }\n\nfunc (t *T) M() {}\n\ntype T struct { x int }\n",
        ["F", "M", "T"],
    ),
    "rust": (
        "use a::b;\n\n/// Old.\n#[inline]\npub fn f(a: i32) -> i32 { 1 }\n\n#[derive(Debug)]\nstruct S { x: i32 }\n\n"
        "impl S {\n    fn m(&self) {}\n}\n",
        ["f", "S", "S", "m"],
    ),
    "c": ("#include <a.h>\n\nstatic int *f(int a) { return 0; }\nstruct S { int x; };\n", ["f", "S"]),
    "cpp": (
        "namespace n {\nclass A {\n public:\n  int f(int a) { return 1; }\n};\n}\n"
        "template <class T> T h(T a) { return a; }\nint A::g() { return 1; }\n",
        ["n", "A", "f", "h", "g"],
    ),
}
LANGUAGES = sorted(SOURCES)
PROSE = "Return the number that was asked for. It is rather long, so that it goes over the end of the first line. x"


def outline(language: str, newline: str = "\n") -> Outline:
    return Outline(SOURCES[language][0].replace("\n", newline), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_functions_and_types_are_found_with_their_names(language: str) -> None:
    assert [symbol.name for symbol in outline(language).walk()] == SOURCES[language][1]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("prose", ["Do it.", PROSE])
def test_a_documented_symbol_parses_and_nothing_else_has_changed(language: str, newline: str, prose: str) -> None:
    before = outline(language, newline)
    for symbol in before.walk():
        if symbol.kind is SymbolKind.CONTAINER:
            continue
        edit = document(before, symbol, prose)
        text = edit.apply(before.text)
        assert syntax_errors(text, language) == []
        assert text.count("\n") - text.count("\r\n") == (0 if newline == "\r\n" else text.count("\n"))
        after = Outline(text, language)
        assert [each.name for each in after.walk()] == SOURCES[language][1]
        twin = next(each for each in after.walk() if each.name == symbol.name and each.kind is symbol.kind)
        assert twin.doc is not None
        assert "o" in text[twin.doc.start : twin.doc.end]
        assert without_doc(after, twin).split() == without_doc(before, symbol).split()


@pytest.mark.parametrize("language", LANGUAGES)
def test_documenting_again_replaces_the_documentation(language: str) -> None:
    first = outline(language)
    symbol = next(each for each in first.walk() if each.kind is SymbolKind.FUNCTION)
    again = Outline(document(first, symbol, "First words.").apply(first.text), language)
    twin = next(each for each in again.walk() if each.name == symbol.name)
    text = document(again, twin, "Second words.").apply(again.text)
    assert "irst words" not in text
    assert "econd words" in text


def test_ordinary_comments_are_kept() -> None:
    source = outline("javascript")
    arrow = next(each for each in source.walk() if each.name == "g")
    assert "// a note\n/** Do it. */\nconst g" in document(source, arrow, "Do it.").apply(source.text)


def test_go_documentation_begins_with_the_name() -> None:
    source = outline("go")
    method = next(each for each in source.walk() if each.name == "M")
    assert "// M returns it.\nfunc (t *T) M() {}" in document(source, method, "Returns it.").apply(source.text)


@given(st.text(min_size=1, max_size=200))
def test_any_prose_gives_a_valid_docstring_or_comment(prose: str) -> None:
    for language in ("python", "javascript", "go", "rust"):
        source = outline(language)
        symbol = next(each for each in source.walk() if each.kind is SymbolKind.FUNCTION)
        edit = document(source, symbol, prose)
        text = edit.apply(source.text)
        assert syntax_errors(text, language) == []
        assert [each.name for each in Outline(text, language).walk()] == SOURCES[language][1]
        if language == "python":
            ast.parse(text)


@pytest.mark.parametrize("file", [json.__file__, textwrap.__file__])
def test_every_function_of_a_real_file_can_be_documented(file: str) -> None:
    source = Outline(Path(file).read_text(encoding="utf-8"), "python")
    for symbol in source.walk():
        text = document(source, symbol, PROSE).apply(source.text)
        ast.parse(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pieces_of_a_file_join_to_the_file(language: str) -> None:
    source = outline(language)
    pieces = source.pieces(0, len(source.text))
    assert "".join(source.text[start:end] for start, end in pieces) == source.text
    assert len(pieces) > 1


def test_no_piece_is_empty_where_a_part_ends_at_a_definition() -> None:
    source = Outline("def f():\n    pass\n\n\ndef g():\n    pass\n", "python")
    end = source.text.index("def g")
    assert source.pieces(0, end) == [(0, end)]


def test_the_line_above_a_function_is_not_within_it() -> None:
    source = Outline("\ndef f():\n    pass\n", "python")
    assert source.enclosing(0, 0) is None
    assert source.enclosing(1, 1) is source.top[0]


@given(st.text(alphabet="def f(x):\n  return'\"#{}é漢🙂", max_size=80))
def test_any_text_has_an_outline(text: str) -> None:
    for language in LANGUAGES:
        source = Outline(text, language)
        for symbol in source.walk():
            assert 0 <= symbol.span.start <= symbol.head <= symbol.span.end <= len(text)
        assert "".join(text[start:end] for start, end in source.pieces(0, len(text))) == text
        assert isinstance(syntax_errors(text, language), list)


def test_a_syntax_error_names_its_line() -> None:
    assert syntax_errors("x = 1\ny = (\n", "python")[0].startswith("line ")
    assert syntax_errors("x = 1\n", "python") == []
    assert syntax_errors("whatever (", "no-such-language") == []
