"""Answers that repeat themselves are recognised, ended and shortened; sound code is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cato_lsp.tasks.repetition import is_stuck, without_repetition

STUCK = [
    ("let remedy = ;\n" * 4, "let remedy = ;"),
    ("function f() {\n" + "    let remedy = ;\n" * 3, "function f() {\n    let remedy = ;"),
    ("x = 1\n" + "if a:\n    b()\n" * 3, "x = 1\nif a:\n    b()"),
    ("x = 1\n" + "    y = 2\n" * 3 + "    y =", "x = 1\n    y = 2"),
]


@pytest.mark.parametrize(("text", "kept"), STUCK)
def test_an_answer_that_repeats_its_lines_is_stuck_and_keeps_them_once(text: str, kept: str) -> None:
    assert is_stuck(text)
    assert without_repetition(text) == kept


def test_a_piece_of_one_line_over_and_over_is_stuck() -> None:
    assert is_stuck("ab" * 80)


@pytest.mark.parametrize(
    "text",
    [
        "a = 1\nb = 2\nc = 3\nd = 4\n",
        "f(\n  [\n    1\n  ]\n)\n)\n)\n)\n",
        "x += 1\nx += 1\n",
        "\n\n\n\n",
        "}\n}\n}\n}\n",
    ],
)
def test_sound_code_is_left_alone(text: str) -> None:
    assert not is_stuck(text)
    assert without_repetition(text) == text


def test_the_standard_library_hardly_ever_seems_stuck() -> None:
    source = Path(json.__file__).read_text(encoding="utf-8").split("\n")
    assert not any(is_stuck("\n".join(source[:end])) for end in range(1, len(source)))
