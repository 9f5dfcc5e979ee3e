"""Neovim and VS Code on a team's server over TLS: suggestions, a server that is killed, and its page in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.editors import eventually
from tests.e2e.neovim import Neovim
from tests.e2e.team_server import TeamServer
from tests.e2e.vscode import ENGINE, Code
from tests.e2e.wire import Wire

SOURCE = '''def add(first, second):
    """Add two numbers."""

'''


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamServer]:
    """A server for the tests of this module."""
    server = TeamServer(tmp_path_factory.mktemp("team"))
    yield server
    server.kill()


@pytest.fixture
def server(running: TeamServer) -> TeamServer:
    """The server, which serves."""
    running.start()
    return running


def test_neovim(server: TeamServer, tmp_path: Path) -> None:
    file = tmp_path / "sums.py"
    file.write_text(SOURCE)
    with Neovim.with_plugin(tmp_path, server.laptop(tmp_path)) as neovim:

        def engine(word: str) -> bool:
            state = neovim.status()["engine"]
            return state["phase"] == "ready" and word in state["message"]

        def accept() -> None:
            typed, ghost = neovim.suggestion()
            above = neovim.lua("vim.api.nvim_buf_get_lines(0, 0, vim.fn.line('.') - 1, false)")
            neovim.keys("<Tab>")
            wanted = [*above, *(typed + ghost).split("\n")]
            eventually("the suggestion is inserted", lambda: neovim.lines()[: len(wanted)] == wanted)

        neovim.open(file)
        neovim.wait_until_ready()
        assert engine(f"at 127.0.0.1:{server.port}")
        neovim.keys("G")
        accept()
        assert server.overview()["users"]["alice"]["calls"] > 0
        server.kill()
        eventually("the bundled model serves, and the status says why", lambda: engine("cannot be reached"))
        accept()
        server.start()
        eventually("the server is used again", lambda: engine(f"at 127.0.0.1:{server.port}"))
        accept()


def test_vscode_and_the_page_of_the_server(server: TeamServer, tmp_path: Path) -> None:
    environment = server.laptop(tmp_path / "home")
    with Code.recorded(tmp_path, ENGINE, environment) as code:
        window = code.window(tmp_path / "workspace")
        window.wait_until_ready()
        path = window.open("sums.py", SOURCE)
        typed, (rest, *_) = window.suggestion(Wire(tmp_path / "wire"), path)
        window.press("Tab")
        eventually("the suggestion is accepted", lambda: not window.ghost())
        assert window.save(path) == SOURCE + typed + rest
        assert server.overview()["users"]["alice"]["calls"] > 0

        page = code.visit(f"https://127.0.0.1:{server.port}/")

        def show(key: str) -> None:
            page.click("#key")
            page.type(key, 0)
            page.press("Enter")

        eventually("the page asks for a key", lambda: page.texts("#state") == ["A key is needed."])
        show("cato-wrong")
        eventually("a wrong key is refused", lambda: page.texts("#state") == ["This key is not known."])
        assert not page.texts("caption")
        show(server.key)
        eventually("the state is shown", lambda: "bundled: ready. 1 connections" in "".join(page.texts("#state")))
        assert page.texts("caption") == ["Deadlines, last minute", "Users, last minute", "Running now"]
        assert "alice" in page.texts("td")
        assert server.key not in " ".join(page.texts("body"))
