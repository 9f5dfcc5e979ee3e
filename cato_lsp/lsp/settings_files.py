"""The ``cato.toml`` files of a session. If a file is saved with errors, its last valid version stays in effect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cato_lsp.config import Layer, SettingProblem, load_settings, read_settings_files


class _Good(NamedTuple):
    layer: Layer
    known: frozenset[SettingProblem]
    """Problems at the first reading. They do not make later versions invalid, since no better version is known."""


class SettingsFiles:
    """Reads settings files repeatedly. Each problem is one line."""

    def __init__(self) -> None:
        self._good: dict[Path, _Good] = {}
        self._seen: dict[Path, tuple[int, int, int] | None] = {}

    def changed(self, paths: Sequence[Path]) -> bool:
        """Whether one of ``paths`` has changed since it was read."""
        return any(_fingerprint(path) != self._seen.get(path) for path in paths)

    def read(self, paths: Sequence[Path]) -> tuple[list[Layer], list[SettingProblem]]:
        """The layers of the existing files, and the problems found in them."""
        layers: list[Layer] = []
        problems: list[SettingProblem] = []
        for path in paths:
            self._seen[path] = _fingerprint(path)
            found, unread = read_settings_files([path])
            faults = frozenset([*unread, *load_settings(found)[1]])
            good = self._good.get(path)
            if good is not None and faults - good.known:
                first, *more = sorted(faults - good.known, key=str)
                others = f" (and {len(more)} more)" if more else ""
                message = f"{first.message}{others}; the last valid version of this file stays in effect"
                problems.append(SettingProblem(str(path), first.key, message))
                layers.append(good.layer)
                continue
            problems += unread
            layers += found
            if found:
                self._good[path] = _Good(found[0], faults)
            elif not unread:  # it was deleted
                self._good.pop(path, None)
        return layers, problems


def _fingerprint(path: Path) -> tuple[int, int, int] | None:
    """A value that changes when the file is saved; ``None`` if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
