"""Which paths the ``.gitignore`` files of a folder leave out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cato_lsp.tasks.glob import Glob, Subject

_LARGEST = 100_000
"""Characters that are read of a ``.gitignore``."""


class _Rule(NamedTuple):
    glob: Glob
    ignores: bool
    """False for a pattern that begins with ``!``."""
    only_folders: bool


@dataclass(frozen=True, slots=True)
class GitIgnore:
    """One ``.gitignore``."""

    folder: Path
    rules: tuple[_Rule, ...]
    """The last that matches decides."""

    @classmethod
    def of(cls, folder: Path) -> Iterator[GitIgnore]:
        """That of a folder, if there is one."""
        try:
            with (folder / ".gitignore").open(encoding="utf-8", errors="replace") as file:
                lines = file.read(_LARGEST).split("\n")
        except (OSError, ValueError):
            return
        yield cls(folder, tuple(rule for line in reversed(lines) for rule in _rules(line)))

    def judge(self, path: Path, is_folder: bool) -> bool | None:
        """Whether the path is ignored; ``None``: no pattern says."""
        subject = Subject(path.relative_to(self.folder).as_posix())
        fitting = (rule for rule in self.rules if is_folder or not rule.only_folders)
        return next((rule.ignores for rule in fitting if rule.glob.matches(subject)), None)


def is_ignored(path: Path, ignores: Sequence[GitIgnore], is_folder: bool) -> bool:
    """Whether a path is ignored: the innermost ``.gitignore`` that says something about it decides, as in Git."""
    judged = (each.judge(path, is_folder) for each in reversed(ignores))
    return next((each for each in judged if each is not None), False)


def _rules(line: str) -> Iterator[_Rule]:
    """The rule of a line, if it has one. The folder's path is not part of what is matched."""
    pattern = line.rstrip(" \t\r")
    if pattern.endswith("\\") and len(pattern) < len(line):
        pattern += " "
    if not pattern or pattern.startswith("#"):
        return
    ignores = not pattern.startswith("!")
    pattern = pattern if ignores else pattern[1:]
    only_folders = pattern.endswith("/")
    pattern = pattern.rstrip("/") if only_folders else pattern
    if not pattern:
        return
    anchored = "/" in pattern
    yield _Rule(Glob(pattern.removeprefix("/") if anchored else f"**/{pattern}", gitignore=True), ignores, only_folders)
