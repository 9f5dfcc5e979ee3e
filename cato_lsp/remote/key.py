"""The user's key for an engine server: from the environment, the keyring or a private file, never a workspace."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from cato_lsp.engine.api import EngineError

logger = logging.getLogger(__name__)

VARIABLE = "CATO_KEY"
SERVICE = "cato-lsp"
"""Name of the keyring's service; the user name in it is the server's ``host:port``."""


def key_file() -> Path:
    """The file for keys if there is no keyring."""
    return platformdirs.user_config_path("cato-lsp", appauthor=False) / "key"


def find_key(url: str) -> str | None:
    """Return the key for the server at ``url``, ``None`` if there is none. May wait for the keyring.

    Raises:
        EngineError: the file with the key can be read by others.
    """
    if key := os.environ.get(VARIABLE, "").strip():
        return key
    return _from_keyring(url) or _from_file(key_file())


def store_key(url: str, key: str) -> str:
    """Store a key for the server at ``url``; return the place: the keyring's name or the file's path."""
    try:
        import keyring

        keyring.set_password(SERVICE, _server(url), key)
    except Exception as error:  # keyrings raise what their backends raise
        logger.info("No keyring: %s", error)
    else:
        return f"the system keyring ({keyring.get_keyring().name})"
    path = key_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key + "\n")
    return str(path)


def _from_keyring(url: str) -> str | None:
    try:
        import keyring

        return keyring.get_password(SERVICE, _server(url))
    except Exception as error:  # keyrings raise what their backends raise
        logger.debug("No keyring: %s", error)
        return None


def _from_file(path: Path) -> str | None:
    try:
        # Windows protects a profile's files by other means than mode bits.
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise EngineError(f"Other users can read your key in {path}.", f"Run `chmod 600 {path}`.")
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _server(url: str) -> str:
    return urlsplit(url).netloc
