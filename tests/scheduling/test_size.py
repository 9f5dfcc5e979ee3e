"""The scheduler stays small: few numbers to tune, few lines to read."""

from __future__ import annotations

import ast
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

from cato_lsp import scheduling
from cato_lsp.scheduling.options import CatoOptions

MOST_NUMBERS = 12
MOST_LINES = 1000

FOLDER = Path(scheduling.__file__).parent
FACTS = {"DECODE_TOKENS", "_SCALE", "_WINDUP"}
"""Constants that tune nothing: a definition, units, a guard against overflow."""


def numbers_of(file: Path) -> list[str]:
    """Names that a module gives to a number."""
    found: list[str] = []
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
                found.append(node.targets[0].id)
    return found


def test_at_most_twelve_numbers_tune_the_scheduler() -> None:
    numbers = [field.name for field in fields(CatoOptions)]
    numbers += [name for file in FOLDER.glob("*.py") for name in numbers_of(file) if name not in FACTS]
    assert len(numbers) <= MOST_NUMBERS, numbers


def test_every_number_of_the_policy_says_what_it_means() -> None:
    body = next(n for n in ast.parse((FOLDER / "options.py").read_text()).body if isinstance(n, ast.ClassDef)).body
    documented = [
        first.target.id
        for first, then in pairwise(body)
        if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name) and isinstance(then, ast.Expr)
    ]
    assert documented == [field.name for field in fields(CatoOptions)]


def test_the_scheduler_can_be_read_in_one_sitting() -> None:
    files = [*FOLDER.glob("*.py"), FOLDER.parent / "engine" / "scheduler.py"]
    assert sum(len(file.read_text().splitlines()) for file in files) <= MOST_LINES
