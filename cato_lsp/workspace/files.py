"""Finds and reads the code files of a folder that may be indexed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from cato_lsp.tasks.exclusion import Exclusion

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
    stack: list[tuple[Path, tuple[_Ignore, ...]]] = [(root, ())]
    while stack and looked < MOST_FOLDERS:
        folder, ignores = stack.pop()
        looked += 1
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        ignores = (*ignores, *_Ignore.of(folder))
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in _NEVER and not _ignored(path, ignores, True):
                    stack.append((path, ignores))
            elif (
                _is_code(entry) and not _ignored(path, ignores, False) and not exclusion.forbids_reading(path.as_uri())
            ):
                yield path
                found += 1
                if found >= most:
                    return


def read_code(path: Path, exclusion: Exclusion) -> str:
    """The text of a file; empty if it is not text or may contain secrets."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    return "" if "\0" in text or exclusion.forbids_reading(path.as_uri(), text) else text


def _is_code(entry: os.DirEntry[str]) -> bool:
    if os.path.splitext(entry.name)[1].lower() not in SUFFIXES or not entry.is_file(follow_symlinks=False):
        return False
    try:
        return entry.stat(follow_symlinks=False).st_size <= LARGEST_FILE
    except OSError:
        return False


class _Ignore:
    """One ``.gitignore``."""

    def __init__(self, folder: Path, lines: list[str]) -> None:
        self._folder = folder
        self._spec = GitIgnoreSpec.from_lines(lines)

    @classmethod
    def of(cls, folder: Path) -> Iterator[_Ignore]:
        try:
            yield cls(folder, (folder / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines())
        except (OSError, ValueError):
            return

    def judge(self, path: Path, is_folder: bool) -> bool | None:
        """Whether the path is ignored; ``None`` if no pattern matches."""
        below = path.relative_to(self._folder).as_posix()
        return self._spec.check_file(f"{below}/" if is_folder else below).include


def _ignored(path: Path, ignores: tuple[_Ignore, ...], is_folder: bool) -> bool:
    """Whether a path is ignored. As in Git, the innermost ``.gitignore`` with a matching pattern decides."""
    judged = (each.judge(path, is_folder) for each in reversed(ignores))
    return next((each for each in judged if each is not None), False)
