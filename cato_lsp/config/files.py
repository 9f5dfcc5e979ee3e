"""The files that settings are read from."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import platformdirs

from cato_lsp.config.layer import Layer, SettingProblem

SETTINGS_FILE = "cato.toml"
LARGEST_FILE = 1 << 16
"""Bytes of a settings file that are read at most."""


def user_settings_file() -> Path:
    """The user's own ``cato.toml``."""
    return platformdirs.user_config_path("cato-lsp", appauthor=False) / SETTINGS_FILE


def settings_files(roots: Sequence[Path] = ()) -> list[Path]:
    """Where ``cato.toml`` is looked for: the user's, then that of each folder of the workspace."""
    return [user_settings_file(), *(root / SETTINGS_FILE for root in roots)]


def read_settings_files(paths: Iterable[Path]) -> tuple[list[Layer], list[SettingProblem]]:
    """The layers of those of `paths` that exist; a file that cannot be read or parsed is a problem.

    Only the user's own file is trusted.
    """
    layers: list[Layer] = []
    problems: list[SettingProblem] = []
    trusted = user_settings_file()
    for path in paths:
        try:
            layers.append(Layer(str(path), tomllib.loads(_read(path)), trusted=path == trusted))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError, RecursionError) as error:
            problems.append(SettingProblem(str(path), "", f"not read: {error}"))
    return layers, problems


def _read(path: Path) -> str:
    """The text of a settings file. A repository may bring a link to a device, or a file of any size.

    Raises:
        OSError: it is not a file of a plausible size.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is not a file")
    if status.st_size > LARGEST_FILE:
        raise OSError(f"it has {status.st_size} bytes, at most {LARGEST_FILE} are read")
    return path.read_text(encoding="utf-8-sig")
