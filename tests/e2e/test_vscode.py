"""VS Code with our extension installed from its VSIX, a real server and the bundled model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.editors import eventually, server_script
from tests.e2e.vscode import Code, Window, Wire, recorded

SOURCE = '''def add(first, second):
    """Add two numbers."""
'''
BEGINNINGS = ("    return ", "    return first", "    if ", "    for ", "    return sum(", "    self.", "    while ")
"""What is typed until the model offers something; which of them it answers depends on the model."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the editor's person lives."""
    return tmp_path_factory.mktemp("vscode")


@pytest.fixture(scope="module")
def wire(folder: Path) -> Wire:
    """What editor and server said."""
    return Wire(folder / "wire")


@pytest.fixture(scope="module")
def settings(folder: Path) -> dict[str, Any]:
    """The person's settings."""
    server = recorded(server_script(folder), folder)
    return {
        "cato.server.path": str(server),
        "cato.model": "bundled",
        "cato.engine.threads": 1,
        "cato.engine.kvCacheGb": 0.25,
    }


@pytest.fixture(scope="module")
def code(folder: Path, settings: dict[str, Any]) -> Iterator[Code]:
    """VS Code and a browser."""
    with Code(folder, settings) as code:
        yield code


@pytest.fixture(scope="module")
def window(code: Code, folder: Path) -> Window:
    """A window whose server is ready."""
    window = code.window(folder / "workspace")
    window.wait_until_ready()
    return window


def suggestion(window: Window, wire: Wire, fits: Callable[[str], bool] = bool) -> tuple[str, str]:
    """Type until a suggestion that fits is shown: the typed line and what of the suggestion is on that line."""
    for typed in BEGINNINGS:
        window.press("Escape", "Home", "Home", "Shift+End", "Delete")
        asked = len(wire.sent("textDocument/inlineCompletion"))
        window.type(typed)
        eventually("the model was asked", lambda asked=asked: len(wire.sent("textDocument/inlineCompletion")) > asked)
        try:
            ghost = eventually("a suggestion is shown", window.ghost, patience=4)
        except AssertionError:
            continue
        if fits(ghost):
            return typed, ghost
    pytest.fail("the model offers nothing that fits anywhere")


def test_ghost_text_appears_while_typing_and_tab_writes_it_to_the_file(window: Window, wire: Wire) -> None:
    path = window.open("tab.py", SOURCE)
    typed, ghost = suggestion(window, wire)
    window.press("Tab")
    eventually("the suggestion is accepted", lambda: not window.ghost())
    assert window.save(path).startswith(SOURCE + typed + ghost)
