"""Finds and reads the code files of a folder that may be indexed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.workspace.gitignore import GitIgnore, is_ignored

LARGEST_FILE = 200_000
"""Bytes."""
MOST_FILES = 10_000
MOST_FOLDERS = 20_000
"""Maximum number of folders that are searched, in case a home directory is opened by mistake."""
SUFFIXES = frozenset(
    (
        *(".py", ".pyi", ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte"),
        *(".java", ".kt", ".kts", ".scala", ".cs", ".go", ".rs", ".swift", ".dart", ".zig", ".nim"),
        *(".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".rb", ".php", ".lua", ".pl", ".pm"),
        *(".ex", ".exs", ".erl", ".hs", ".ml", ".mli", ".clj", ".r", ".jl", ".el", ".vim", ".sh", ".bash", ".zsh"),
        *(".sql", ".html", ".css", ".scss", ".json", ".toml", ".yaml", ".yml", ".md", ".rst", ".proto", ".graphql"),
    )
)
_NEVER = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
"""Folders with third-party code, which are always excluded. Hidden folders are excluded, too."""


def code_files(root: Path, exclusion: Exclusion, most: int = MOST_FILES) -> Iterator[Path]:
    """The code files below a folder that ``.gitignore`` and the settings allow, at most ``most``.

    Links are not followed: they may lead out of the folder. Nothing of the repository is executed, Git itself included.
    """
    found = looked = 0
    stack: list[tuple[Path, tuple[GitIgnore, ...]]] = [(root, ())]
    while stack and looked < MOST_FOLDERS:
        folder, ignores = stack.pop()
        looked += 1
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        ignores = (*ignores, *GitIgnore.of(folder))
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if not _is_left_out(path, ignores):
                    stack.append((path, ignores))
            elif _is_code(path) and not is_ignored(path, ignores, False) and _is_allowed(path, exclusion):
                yield path
                found += 1
                if found >= most:
                    return


def admitted(root: Path, paths: Iterable[Path], exclusion: Exclusion) -> set[Path]:
    """Those of some paths that `code_files` would find now."""

    @cache
    def ignores_in(folder: Path) -> tuple[GitIgnore, ...] | None:
        """The ``.gitignore`` files that hold in a folder; ``None``: it is not looked into."""
        if folder == root:
            return tuple(GitIgnore.of(root))
        above = ignores_in(folder.parent)
        if above is None or folder.is_symlink() or _is_left_out(folder, above):
            return None
        return (*above, *GitIgnore.of(folder))

    found: set[Path] = set()
    for path in paths:
        if path == root or not path.is_relative_to(root) or ".." in path.parts or not _is_code(path):
            continue
        ignores = ignores_in(path.parent)
        if ignores is not None and not is_ignored(path, ignores, False) and _is_allowed(path, exclusion):
            found.add(path)
    return found


def read_code(path: Path, exclusion: Exclusion) -> str:
    """The text of a file; empty if it is not text or may contain secrets."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    return "" if "\0" in text or exclusion.forbids_reading(path.as_uri(), text) else text


def _is_left_out(folder: Path, ignores: tuple[GitIgnore, ...]) -> bool:
    return folder.name.startswith(".") or folder.name in _NEVER or is_ignored(folder, ignores, True)


def _is_code(path: Path) -> bool:
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        status = path.lstat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_FILE


def _is_allowed(path: Path, exclusion: Exclusion) -> bool:
    return not exclusion.forbids_reading(path.as_uri())
