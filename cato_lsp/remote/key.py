"""The user's key for an engine server: from the environment, the keyring or a private file, never a workspace."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from cato_lsp.engine.api import EngineError
from cato_lsp.remote.refusals import address

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
    return _from_keyring(url) or _read(key_file()).get(address(url))


def store_key(url: str, key: str) -> str:
    """Store a key for the server at ``url``; return the place: the keyring's name or the file's path.

    Raises:
        EngineError: the file can be read by others, or cannot be written.
    """
    try:
        import keyring

        keyring.set_password(SERVICE, address(url), key)
    except Exception as error:  # keyrings raise what their backends raise
        logger.info("No keyring: %s", error)
    else:
        return f"the system keyring ({keyring.get_keyring().name})"
    path = key_file()
    try:
        _write(path, {**_read(path), address(url): key})
    except OSError as error:
        raise EngineError(f"{path} cannot be written: {error.strerror}.", f"Set {VARIABLE} instead.") from error
    return str(path)


def _from_keyring(url: str) -> str | None:
    try:
        import keyring

        return keyring.get_password(SERVICE, address(url))
    except Exception as error:  # keyrings raise what their backends raise
        logger.debug("No keyring: %s", error)
        return None


def _read(path: Path) -> dict[str, str]:
    """The keys of a file by server. Each line is ``HOST:PORT KEY``."""
    try:
        # Windows protects a profile's files by other means than mode bits.
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise EngineError(f"Other users can read your key in {path}.", f"Run `chmod 600 {path}`.")
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return {}
    return {line[0]: line[1] for line in lines if len(line) == 2}


def _write(path: Path, keys: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Created with mode 0600, and replaced atomically.
    descriptor, made = tempfile.mkstemp(prefix=".key-", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{server} {key}\n" for server, key in keys.items())
    os.replace(made, path)
