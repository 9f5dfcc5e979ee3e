"""Where the servers of a user have their Unix sockets: in a folder that nobody else can reach."""

from __future__ import annotations

import warnings
from pathlib import Path

import platformdirs


def socket_folder() -> Path:
    """The folder; in the temporary folder where the system has no runtime folder for this user.

    Raises:
        OSError: no folder is private to this user, for example because another user made it first.
    """
    with warnings.catch_warnings(category=platformdirs.RuntimeDirWarning, action="ignore"):
        return platformdirs.user_runtime_path("cato-lsp", appauthor=False)


def make_private(folder: Path) -> None:
    """Make ``folder`` and let only its user in. Raises ``OSError`` where that cannot be done."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
