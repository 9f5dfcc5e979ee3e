"""The keys of a team's users. Only hashes are stored; a key is shown once, when it is created."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import platformdirs

PREFIX = "cato-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class KeyFileError(Exception):
    """The file with the keys cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """A user's key, as it is stored."""

    name: str
    team: str
    hash: str
    """SHA-256 of the key, hexadecimal. A key has 256 random bits, so a slow hash would add nothing."""
    created: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True)
class User:
    """The user that a key belongs to."""

    name: str
    """Identifies the user to the scheduler, which shares the engine between users."""
    cache_salt: str
    """Secret of the user's team. Calls with equal salts share cached prompts."""
    is_gateway: bool = False
    """Whether this is a fleet's gateway, whose messages name the user of each call."""


def default_key_file() -> Path:
    """The default path of the file with the keys."""
    return platformdirs.user_config_path("cato-lsp", appauthor=False) / "server-keys.json"


class KeyFile:
    """Keys in a file that only its owner can read. `reload` reads changes by other processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: dict[str, Key] = {}
        self._salts: dict[str, str] = {}
        self._seen: tuple[int, int] | None = None

    def reload(self) -> bool:
        """Read the file if it has changed; return whether it had changed. Without a file there are no keys.

        Raises:
            KeyFileError: other users can read it, or it is damaged. The keys that were read before stay valid.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            changed = self._seen is not None
            self._keys, self._salts, self._seen = {}, {}, None
            return changed
        except OSError as error:
            raise KeyFileError(f"{self.path} cannot be read: {error.strerror}.") from error
        if (found.st_mtime_ns, found.st_ino) == self._seen:
            return False
        if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o077:
            raise KeyFileError(f"Other users can read {self.path}. Run `chmod 600 {self.path}`.")
        try:
            content = cast("dict[str, Any]", json.loads(self.path.read_text(encoding="utf-8")))
            keys = {each["name"]: Key(**each) for each in content["keys"]}
            salts = {str(team): str(salt) for team, salt in content["salts"].items()}
            if not {key.team for key in keys.values()} <= salts.keys():
                raise ValueError("A team has no salt.")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise KeyFileError(f"{self.path} is damaged; restore it, or delete it and add the keys again.") from error
        self._keys, self._salts, self._seen = keys, salts, (found.st_mtime_ns, found.st_ino)
        return True

    def check(self, key: str) -> User | None:
        """Return the user with this key, or ``None``. Takes constant time for wrong keys."""
        shown = _hash(key)
        found: Key | None = None
        for each in self._keys.values():
            if hmac.compare_digest(each.hash, shown):
                found = each
        return User(found.name, self._salts[found.team]) if found is not None else None

    def holds(self, name: str) -> bool:
        """Whether the user has a valid key."""
        return name in self._keys

    def keys(self) -> list[Key]:
        """All keys, by name."""
        return sorted(self._keys.values(), key=lambda key: key.name)

    def add(self, name: str, team: str = "default") -> str:
        """Create a key and return it. It cannot be read again.

        Raises:
            KeyFileError: the name is in use or invalid, or the file cannot be written.
        """
        if not _NAME.fullmatch(name) or not _NAME.fullmatch(team):
            raise KeyFileError("Names have 1 to 64 letters, digits, '.', '_', '@' and '-'.")
        with self._locked():
            self.reload()
            if name in self._keys:
                raise KeyFileError(f"{name} has a key. Revoke it first: `cato-lsp keys revoke {name}`.")
            key = PREFIX + secrets.token_urlsafe(32)
            self._keys[name] = Key(name, team, _hash(key), datetime.now(UTC).isoformat(timespec="seconds"))
            self._salts.setdefault(team, secrets.token_hex(16))
            self._write()
        return key

    def revoke(self, name: str) -> None:
        """Revoke a user's key. A running server notices it within a second.

        Raises:
            KeyFileError: the user has no key, or the file cannot be written.
        """
        with self._locked():
            self.reload()
            if self._keys.pop(name, None) is None:
                raise KeyFileError(f"{name} has no key; `cato-lsp keys list` shows who has.")
            self._write()

    def _write(self) -> None:
        content = {
            "keys": [{name: getattr(key, name) for name in Key.__slots__} for key in self.keys()],
            "salts": self._salts,
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Created with mode 0600, and replaced atomically.
            descriptor, made = tempfile.mkstemp(prefix=".keys-", dir=self.path.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
            os.replace(made, self.path)
        except OSError as error:
            raise KeyFileError(f"{self.path} cannot be written: {error.strerror}.") from error

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        """Prevent two commands from changing the keys at the same time."""
        lock = self.path.with_suffix(".lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            raise KeyFileError(f"Another command changes the keys. If none does, delete {lock}.") from None
        except OSError as error:
            raise KeyFileError(f"{self.path} cannot be written: {error.strerror}.") from error
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
