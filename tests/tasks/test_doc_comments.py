"""Documentation of symbols, as exact text."""

from __future__ import annotations

import pytest

from cato_lsp.tasks.doc_comments import document, has_convention, without_doc
from cato_lsp.tasks.symbols import Outline, syntax_errors

LONG = "Return the first of the values. " + "They are compared one by one, " * 3 + "in order."


def documented(source: str, language: str, prose: str, name: str | None = None) -> str:
    outline = Outline(source, language)
    symbol = next(each for each in outline.walk() if name is None or each.name == name)
    return document(outline, symbol, prose).apply(source)


@pytest.mark.parametrize(
    ("language", "source", "prose", "expected"),
    [
        ("python", "def f():\n    return 1\n", "Do it.", 'def f():\n    """Do it."""\n    return 1\n'),
        ("python", "def f(): return 1\n", "Do it.", 'def f():\n    """Do it."""\n    return 1\n'),
        ("python", "class A:\n  def f(): return 1\n", "Do it.", 'class A:\n  """Do it."""\n  def f(): return 1\n'),
        ("python", 'def f():\n    """Old."""\n    return 1\n', "New.", 'def f():\n    """New."""\n    return 1\n'),
        ("python", "def f():\n\treturn 1\n", 'Say """x""".', "def f():\n\t\"\"\"Say '''x'''.\"\"\"\n\treturn 1\n"),
        ("python", "def f():\n    pass\n", 'It is "so"', 'def f():\n    """It is "so"\n    """\n    pass\n'),
        ("python", "def f():\n    pass\n", "A \\d.", 'def f():\n    """A \\\\d."""\n    pass\n'),
        ("go", "package a\n\nfunc F() {}\n", "Does it.", "package a\n\n// F does it.\nfunc F() {}\n"),
        ("go", "package a\n\nfunc F() {}\n", "F does it.", "package a\n\n// F does it.\nfunc F() {}\n"),
        ("go", "package a\n\nfunc F() {}\n", "HTTP call.", "package a\n\n// F HTTP call.\nfunc F() {}\n"),
        ("rust", "fn f() {}\n", "Do it.", "/// Do it.\nfn f() {}\n"),
        ("rust", "#[a]\n#[b]\nfn f() {}\n", "Do it.", "/// Do it.\n#[a]\n#[b]\nfn f() {}\n"),
        ("rust", "x!();\n#[b]\nfn f() {}\n", "Do it.", "x!();\n/// Do it.\n#[b]\nfn f() {}\n"),
        ("javascript", "function f() {}\n", "Do */ it.", "/** Do * / it. */\nfunction f() {}\n"),
        ("javascript", "if (a) { function f() {} }\n", "Do it.", None),
        ("javascript", "/** Old. */\nfunction f() {}\n", "New.", "/** New. */\nfunction f() {}\n"),
    ],
)
def test_documentation_is_written_in_the_style_of_its_language(
    language: str, source: str, prose: str, expected: str | None
) -> None:
    if expected is None:
        assert not list(Outline(source, language).walk())
    else:
        assert documented(source, language, prose) == expected


def test_long_documentation_is_wrapped_at_88_columns() -> None:
    python = documented("class A:\n    def f(self):\n        return 1\n", "python", LONG, "f")
    javascript = documented("class A {\n  f() { return 1 }\n}\n", "javascript", LONG, "f")
    for text, first, last in ((python, '        """Return', '        """'), (javascript, "  /**", "   */")):
        lines = text.splitlines()
        assert 80 < max(map(len, lines)) <= 88
        start = next(number for number, line in enumerate(lines) if line.startswith(first))
        assert last in lines[start + 1 :]
    assert "   * Return the first" in javascript


def test_paragraphs_and_lists_keep_their_shape() -> None:
    prose = "First.\n\n- " + "a word and another word " * 5 + "\n- b"
    text = documented("def f():\n    pass\n", "python", prose)
    assert '    """First.\n\n    - a word' in text
    assert "\n      " in text  # the second line of a list item hangs
    assert "\n    - b\n" in text


def test_prose_without_words_becomes_an_ellipsis() -> None:
    assert '"""..."""' in documented("def f():\n    pass\n", "python", " \n ")
    assert "\x07" not in documented("def f():\n    pass\n", "python", "a\x07b")


@pytest.mark.parametrize(
    ("language", "expected"),
    [("python", True), ("java", True), ("go", True), ("rust", True), ("cobol", False), ("markdown", False)],
)
def test_languages_with_a_convention(language: str, expected: bool) -> None:
    assert has_convention(language) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('def f():\n    """Old."""\n    return 1\n', "def f():\n    return 1"),
        ('def f():\n    """Old."""\n', "def f():\n    ..."),
        ("class A:\n    def f():\n        return 1\n", "def f():\n    return 1"),
    ],
)
def test_the_source_of_a_symbol_comes_without_its_documentation(source: str, expected: str) -> None:
    outline = Outline(source, "python")
    symbol = next(each for each in outline.walk() if each.name == "f")
    assert without_doc(outline, symbol) == expected


@pytest.mark.parametrize(
    ("language", "source", "prose"),
    [
        ("javascript", "function f() {\n}\n", "a *\x1f/ b"),
        ("python", "def f():\n    pass\n", 'a ""\x1f" b'),
    ],
)
def test_a_control_character_does_not_hide_the_end_of_a_comment(language: str, source: str, prose: str) -> None:
    assert syntax_errors(documented(source, language, prose), language) == []
