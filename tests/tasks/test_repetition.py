"""Answers that repeat themselves are recognised, ended and shortened; sound code is left alone."""

from __future__ import annotations

import json
import keyword
import opcode
import stat
import string
import stringprep as unicodedata_tables
import token
from pathlib import Path
from types import ModuleType

import pytest

from cato_lsp.tasks.repetition import is_stuck, without_repetition

STUCK = [
    ("let remedy = ;\n" * 4, "let remedy = ;"),
    ("function f() {\n" + "    let remedy = ;\n" * 4, "function f() {\n    let remedy = ;"),
    ("x = 1\n" + "if a:\n    b()\n" * 4, "x = 1\nif a:\n    b()"),
    ("x = 1\n" + "    y = 2\n" * 4 + "    y =", "x = 1\n    y = 2"),
    (
        "x = 1\n" + "raise ValueError(f'no such table: {name}')\n" * 3,
        "x = 1\nraise ValueError(f'no such table: {name}')",
    ),
    ("x = f(value" + ", null" * 6, "x = f(value, null"),
    ("a()\n    " + "x = " * 6, "a()\n    x ="),
    ("let a = " + "b.c[0]." * 6, "let a = b.c[0]."),
    ("t = [" + "0, " * 50, "t = [0, "),
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
        "def f(a, b=None, c=None, d=None, e=None, f=None, g=None, h=None):\n",
        "f(a, null, null, null)\n",
        "f(null, null, null, null, null, null, value",
        "Maker<\n" + "  any,\n" * 9 + ">\n",
        "TABLE = [\n" + "    0, 0, 0, 0, 0, 0, 0, 0,\n" * 6 + "]\n",
        "mask = [" + "0x00, " * 16 + "]\n",
        "next(rows)\nnext(rows)\nnext(rows)\n",
        f"# {'-' * 118}\n{'=' * 130}\n",
    ],
)
def test_sound_code_is_left_alone(text: str) -> None:
    assert not is_stuck(text)
    assert without_repetition(text) == text


@pytest.mark.parametrize("module", [json, keyword, opcode, stat, string, token, unicodedata_tables])
def test_real_files_never_seem_stuck(module: ModuleType) -> None:
    assert module.__file__ is not None
    lines = Path(module.__file__).read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines):
        above = lines[max(0, number - 50) : number]
        assert not any(is_stuck("\n".join([*above, line[:end]])) for end in {len(line) // 2, len(line)})
        assert not is_stuck("\n".join([*above, line, ""]))
