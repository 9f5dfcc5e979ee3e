"""The index of a workspace follows files that other programs change, where the client watches them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.lsp.wire import PATIENCE, Wire

CODE = "class Widget:\n    def frobnicate(self, table):\n        return self.ultraviolet[table]\n"
HEAD = "class Other:\n    def frobnicate(self, table):\n        return self"


async def begin(wire: Wire, root: Path, capabilities: Any) -> None:
    """Begin a session in a folder."""
    await wire.call("initialize", {"processId": None, "rootUri": root.as_uri(), "capabilities": capabilities})
    wire.notify("initialized", {})


async def ready(wire: Wire) -> None:
    """Wait until the model is loaded."""
    while not (await wire.told("cato/didChangeStatus"))["params"]["message"].startswith("Ready"):
        pass


async def suggests(wire: Wire, uri: str, wanted: bool) -> None:
    """Wait until a completion uses what only the file on disk says, or does so no more."""
    with anyio.fail_after(PATIENCE):
        while True:
            items = (await wire.complete(2, len("        return self"), uri))["items"]
            if any("ultraviolet" in item["insertText"] for item in items) is wanted:
                return
            await anyio.sleep(0.1)


@pytest.mark.anyio
async def test_files_that_other_programs_change_are_learned_from(wire: Wire, tmp_path: Path) -> None:
    await begin(wire, tmp_path, {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}})
    (registration,) = (await wire.told("client/registerCapability"))["params"]["registrations"]
    globs = [watcher["globPattern"] for watcher in registration["registerOptions"]["watchers"]]
    assert any(glob.startswith("**/*.{") and ",py," in glob and ",ts," in glob for glob in globs)
    await ready(wire)
    document, widget = tmp_path / "new.py", tmp_path / "widget.py"
    wire.open(HEAD, document.as_uri())
    await suggests(wire, document.as_uri(), wanted=False)

    def say(path: Path, kind: int) -> None:
        wire.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": path.as_uri(), "type": kind}]})

    widget.write_text(CODE)
    say(widget, 1)
    await suggests(wire, document.as_uri(), wanted=True)
    widget.write_text("")
    say(widget, 2)
    await suggests(wire, document.as_uri(), wanted=False)
    widget.write_text(CODE)
    say(widget, 2)
    await suggests(wire, document.as_uri(), wanted=True)
    widget.unlink()
    say(widget, 3)
    await suggests(wire, document.as_uri(), wanted=False)


@pytest.mark.anyio
async def test_a_document_that_is_closed_without_saving_is_forgotten(wire: Wire, tmp_path: Path) -> None:
    await begin(wire, tmp_path, {})
    await ready(wire)
    document, closed = (tmp_path / name for name in ("new.py", "widget.py"))
    closed.write_text("")
    wire.open(CODE, closed.as_uri())
    wire.open(HEAD, document.as_uri())
    await suggests(wire, document.as_uri(), wanted=True)
    wire.notify("textDocument/didClose", {"textDocument": {"uri": closed.as_uri()}})
    await suggests(wire, document.as_uri(), wanted=False)
