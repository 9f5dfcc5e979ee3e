"""``.gitignore`` leaves out what Git leaves out. The expectations were checked with ``git check-ignore``."""

from __future__ import annotations

from pathlib import Path

import pytest

from cato_lsp.workspace.gitignore import GitIgnore, is_ignored


def ignored(folder: Path, lines: str, path: str, *, is_folder: bool = False) -> bool:
    (folder / ".gitignore").write_text(lines, encoding="utf-8")
    return is_ignored(folder / path, tuple(GitIgnore.of(folder)), is_folder)


@pytest.mark.parametrize(
    ("lines", "inside", "outside"),
    [
        ("*.py\n", "x/a.py", "a.pyi"),
        ("/a.py\n", "a.py", "x/a.py"),
        ("x/a.py\n", "x/a.py", "y/x/a.py"),
        ("x/**\n", "x/y/a.py", "y/x"),
        ("x/**/a.py\n", "x/a.py", "x/b.py"),
        ("**/x/a.py\n", "y/x/a.py", "y/a.py"),
        ("*.py\n!a.py\n", "b.py", "a.py"),
        ("!a.py\n*.py\n", "a.py", "a.pyi"),
        ("a[0-9].py\n", "a1.py", "a_.py"),
        ("x/[!a].py\n", "x/b.py", "x/a.py"),
        ("# a.py\n\\#a.py   \n", "#a.py", "a.py"),
        ("\\!a.py\n", "!a.py", "a.py"),
        ("a\\ \n", "a ", "a"),
        ("A.py\n", "A.py", "a.py"),
        ("{a,b}.py\n", "{a,b}.py", "a.py"),
        ("a**b.py\n", "axb.py", "a/b.py"),
    ],
)
def test_patterns_match_as_in_git(tmp_path: Path, lines: str, inside: str, outside: str) -> None:
    assert ignored(tmp_path, lines, inside)
    assert not ignored(tmp_path, lines, outside)


def test_a_pattern_with_a_slash_at_its_end_is_for_folders_only(tmp_path: Path) -> None:
    assert ignored(tmp_path, "build/\n", "x/build", is_folder=True)
    assert not ignored(tmp_path, "build/\n", "x/build")


def test_a_hostile_pattern_ends(tmp_path: Path) -> None:
    """As a regular expression, it takes longer than a day."""
    assert not ignored(tmp_path, "a*" * 60 + "b\n", "a" * 250)
