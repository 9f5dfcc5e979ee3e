"""docs/features.md says nothing of us that no test shows."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILLED = ("●", "◐")


def tables() -> list[list[list[str]]]:
    """The rows of each table of the document, headings left out."""
    found: list[list[list[str]]] = []
    inside = False
    for line in (ROOT / "docs" / "features.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif not inside:
            inside = True
            found.append([])
        elif set("".join(cells)) != {"-"}:
            found[-1].append(cells)
    return found


@cache
def functions_of(path: str) -> frozenset[str]:
    """The test functions of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def named_tests(cell: str) -> list[tuple[str, str]]:
    """Path and name of each test that a cell names."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cell)


def missing_tests(cell: str) -> list[str]:
    return [f"{path}::{name}" for path, name in named_tests(cell) if name not in functions_of(path)]


def slug(issue: str) -> str:
    """``vscode_187151`` for ``microsoft/vscode#187151``."""
    repository, number = issue.split("/")[1].split("#")
    return re.sub(r"\W", "_", f"{repository.removesuffix('.nvim')}_{number}").lower()


def test_every_filled_cell_names_a_test_that_exists() -> None:
    marks, proofs, _ = tables()
    shown = {feature: tests for feature, _, tests in proofs}
    assert set(shown) == {feature for feature, ours, *_ in marks if ours in FILLED}
    assert [feature for feature, tests in shown.items() if not named_tests(tests)] == []
    assert [missing for tests in shown.values() for missing in missing_tests(tests)] == []


def test_every_reported_issue_has_a_test_with_its_name_or_is_marked_as_open() -> None:
    for issue, _, here, tests in tables()[2]:
        names = [name for _, name in named_tests(tests)]
        assert names or here.startswith(("Open:", "Not ours:")), issue
        assert not names or any(slug(issue) in name for name in names), issue
        assert missing_tests(tests) == []


def test_the_tables_are_sorted_and_complete() -> None:
    for rows in tables():
        first = [cells[0].lower() for cells in rows]
        assert first == sorted(first)
        assert len({len(cells) for cells in rows}) == 1
