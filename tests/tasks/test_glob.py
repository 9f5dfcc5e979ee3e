"""Patterns match what editors and Git say, and in few steps, whatever a repository's patterns look like."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.tasks.glob import Glob, Subject, fold

EXPRESSIONS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "{a,bc}": "(?:a|bc)", "[!a]": "[^/aA]"}
PIECES = [*EXPRESSIONS, "a", "b", "c", "/", "."]


def as_editors_do(glob: str, path: str) -> bool:
    """The same by a regular expression, as editors match."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\{[^{}]*\}|\[!?[^\]/]+\])", glob.lstrip("/"))
    expression = "".join(EXPRESSIONS.get(piece, re.escape(piece)) for piece in pieces)
    begin = "/" if glob.startswith("/") else "(?:.*/)?"
    return re.fullmatch(begin + expression, path, re.IGNORECASE | re.DOTALL) is not None


@given(
    glob=st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    path=st.lists(st.sampled_from(["a", "B", "c", "/", "."]), max_size=8).map("".join),
)
def test_a_glob_matches_what_its_regular_expression_would(glob: str, path: str) -> None:
    assert Glob(glob).matches(Subject(fold(path))) == as_editors_do(glob, path)


@pytest.mark.parametrize("glob", ["**/a*a*a*a*a*a*a*a*a*a*a*a*b", "**a" * 40 + "b", "{a,aa}" * 100 + "b"])
def test_a_hostile_pattern_ends(glob: str) -> None:
    """As a regular expression, each takes longer than a day."""
    assert not Exclusion((), (glob,)).forbids_reading(f"file:///{'a' * 250}/{'a' * 250}")


@pytest.mark.parametrize(
    ("glob", "character", "inside"), [("[z-a]", "q", True), ("[a-c-e]", "-", True), ("[a-c-e]", "d", False)]
)
def test_classes(glob: str, character: str, inside: bool) -> None:
    assert Glob(glob).matches(Subject(character)) is inside


def test_letters_match_in_either_case_and_keep_their_number() -> None:
    assert Glob("STRASSE?.py").matches(Subject(fold("strasseß.PY")))
    assert len(fold("ßİ")) == 2


def test_a_path_that_no_system_allows_is_excluded() -> None:
    assert Exclusion().forbids_reading(f"untitled:{'a' * 5000}")
