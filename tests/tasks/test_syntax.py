"""Syntax errors count where the text is, not in its surroundings."""

from __future__ import annotations

import pytest

from cato_lsp.tasks.syntax import has_errors_within


@pytest.mark.parametrize(
    ("language", "text", "has_errors"),
    [
        ("python", "return first + second\n", False),
        ("python", "return first + + second)\n", True),
        ("javascript", "return first + second;\n", False),
        ("javascript", "return (first + second;\n", True),
        ("a-language-without-a-grammar", "return ((\n", False),
    ],
)
def test_errors_of_the_text_count(language: str, text: str, has_errors: bool) -> None:
    before, after = ("def add(first, second):\n    ", "") if language == "python" else ("function add() {\n", "}\n")
    assert has_errors_within(language, before, text, after) is has_errors


def test_errors_around_the_text_do_not_count() -> None:
    broken_before, broken_after = "values = ))\n\n\ndef one():\n    ", "\n\n\nx = ((\n"
    assert not has_errors_within("python", broken_before, "return 1", "\n")
    assert not has_errors_within("python", "def one():\n    ", "return 1", broken_after)
