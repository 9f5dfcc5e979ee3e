"""Neovim on a team's server over TLS: suggestions, a server that is killed, the bundled model, and the return."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.editors import eventually
from tests.e2e.neovim import Neovim
from tests.e2e.team_server import TeamServer

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
