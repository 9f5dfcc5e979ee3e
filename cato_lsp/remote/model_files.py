"""The model files that a laptop needs to build prompts: described by the server, cached by the laptop."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from cato_lsp.engine.api import EngineError

NAMES = frozenset(
    {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
)
"""The file names that a server may offer and a laptop accepts. No other file is read or written."""
REQUIRED = frozenset({"config.json", "tokenizer.json"})
MOST_BYTES = 128 << 20
"""Maximum total size of the files that a laptop accepts, in bytes."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def describe(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in ``folder`` that laptops need, by name."""
    found = {name: folder / name for name in sorted(NAMES)}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items() if path.is_file()}


def tokenizer_hash(files: Mapping[str, str]) -> str:
    """Return one hash for a set of files and their hashes."""
    text = "\n".join(f"{name} {files[name]}" for name in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()


class FileCache:
    """Downloaded model files, in one folder for each hash.

    :param root: folder of the cache; default: the user's cache folder.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or platformdirs.user_cache_path("cato-lsp", appauthor=False) / "tokenizers"

    def folder(self, model: str, digest: str) -> Path:
        """Return the folder for the files of a model, which need not exist. Its name is safe on all file systems."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", model.rpartition("/")[2]).strip(".-") or "model"
        return self._root / digest[:32] / name[:80]

    def find(self, model: str, files: Mapping[str, str]) -> Path | None:
        """Return the folder with exactly these files; ``None`` if it is missing or damaged."""
        folder = self.folder(model, tokenizer_hash(files))
        try:
            return folder if describe(folder) == dict(files) else None
        except OSError:
            return None

    def store(self, model: str, files: Mapping[str, str], contents: Mapping[str, bytes]) -> Path:
        """Store downloaded files.

        Raises:
            EngineError: a file is not what the server announced.
        """
        for name, digest in files.items():
            if hashlib.sha256(contents[name]).hexdigest() != digest:
                raise EngineError(
                    f"The server's {name} does not match its hash.",
                    "Restart `cato-lsp serve`: the model's files were changed while it ran.",
                )
        folder = self.folder(model, tokenizer_hash(files))
        folder.mkdir(parents=True, exist_ok=True)
        # File by file, since another window of this user may be reading the same ones.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as made:
            try:
                for name, content in contents.items():
                    (Path(made) / name).write_bytes(content)
                    os.replace(Path(made) / name, folder / name)
            except OSError:  # on Windows: the other window has a file open
                if self.find(model, files) is None:
                    raise
        return folder


def check_names(files: Mapping[str, str]) -> None:
    """Reject file names that could write outside the cache, and malformed hashes.

    Raises:
        EngineError: a name or a hash is not allowed.
    """
    if not files.keys() <= NAMES or not files.keys() >= REQUIRED or not all(map(_SHA256.fullmatch, files.values())):
        raise EngineError(
            "The server offers files that are not a tokenizer's.", "Check that `engine.url` is a `cato-lsp serve`."
        )
