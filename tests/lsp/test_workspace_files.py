"""The index of a workspace follows files that other programs change, where the client watches them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.lsp.wire import PATIENCE, Wire

CODE = "class Widget:\n    def frobnicate(self, table):\n        return self.ultraviolet[table]\n"
HEAD = "class Other:\n    def frobnicate(self, table):\n        return self"


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
    watches: Any = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
    params = {"processId": None, "rootUri": tmp_path.as_uri(), "capabilities": watches}
    await wire.call("initialize", params)
    wire.notify("initialized", {})
    (registration,) = (await wire.told("client/registerCapability"))["params"]["registrations"]
    globs = [watcher["globPattern"] for watcher in registration["registerOptions"]["watchers"]]
    assert any(glob.startswith("**/*.{") and ",py," in glob and ",ts," in glob for glob in globs)
    while not (await wire.told("cato/didChangeStatus"))["params"]["message"].startswith("Ready"):
        pass
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
