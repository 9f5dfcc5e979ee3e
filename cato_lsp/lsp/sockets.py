"""The private folder for the Unix sockets of a user's servers."""

from __future__ import annotations

import warnings
from pathlib import Path

import platformdirs


def socket_folder() -> Path:
    """The folder; in the temporary folder where the system has no runtime folder for this user.

    Raises:
        OSError: the folder cannot be made private, for example because another user created it.
    """
    with warnings.catch_warnings(category=platformdirs.RuntimeDirWarning, action="ignore"):
        return platformdirs.user_runtime_path("cato-lsp", appauthor=False)


def make_private(folder: Path) -> None:
    """Create ``folder`` with access for its user only. Raises ``OSError`` if that is impossible."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
