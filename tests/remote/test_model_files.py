"""The laptop's cache of tokenizer files, which all windows of a user share."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cato_lsp.engine.api import EngineError
from cato_lsp.remote.model_files import FileCache

CONTENTS = {"config.json": b"{}", "tokenizer.json": b'{"model": {}}'}
FILES = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}


def test_a_second_window_stores_the_files_while_the_first_one_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FileCache(tmp_path)
    folder = cache.store("model", FILES, CONTENTS)
    replace = os.replace
    seen: list[set[str]] = []

    def observe(source: Path, target: Path) -> None:
        seen.append({path.name for path in folder.iterdir()})
        replace(source, target)
        seen.append({path.name for path in folder.iterdir()})

    monkeypatch.setattr(os, "replace", observe)
    assert cache.store("model", FILES, CONTENTS) == folder
    assert seen
    assert all(names == set(FILES) for names in seen)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_damaged_file_is_not_found_and_is_replaced(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    folder = cache.store("model", FILES, CONTENTS)
    (folder / "tokenizer.json").write_bytes(b"{")
    assert cache.find("model", FILES) is None
    assert cache.store("model", FILES, CONTENTS) == cache.find("model", FILES) == folder


def test_files_that_the_server_did_not_announce_are_not_stored(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    with pytest.raises(EngineError, match=r"tokenizer\.json does not match"):
        cache.store("model", FILES, CONTENTS | {"tokenizer.json": b"other"})
    assert cache.find("model", FILES) is None
