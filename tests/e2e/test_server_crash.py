"""The shared server is killed while a person types, in each editor: suggestions come back and no text is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.editors import code_blocks, eventually, server_script, shared_servers
from tests.e2e.neovim import ENGINE, PLUGIN, Neovim
from tests.e2e.vscode import ENGINE as CODE_ENGINE
from tests.e2e.vscode import QUIET_SETTINGS, Code

SOURCE = '''def add(first, second):
    """Add two numbers."""

'''
MESSAGE = "the server crashed and is restarted"


def kill_the_server() -> None:
    """Kill it as the kernel does when memory is short; another one takes its place."""
    (server,) = shared_servers()
    server.kill()
    server.wait()
    eventually("another server runs", lambda: [each for each in shared_servers() if each.pid != server.pid])


@pytest.fixture(params=["with our plugin", "plain"])
def neovim(request: pytest.FixtureRequest, checkout: Path, tmp_path: Path) -> Iterator[Neovim]:
    """Neovim as the README sets it up."""
    server = str(server_script(tmp_path))
    if request.param == "plain":
        (config,) = code_blocks("README.md", "lua", "vim.lsp.enable", checkout)
        config = config.replace(f"{checkout}/.venv/bin/cato-lsp", server)
        assert server in config
    else:
        options = json.dumps({"cmd": [server], "settings": ENGINE})
        config = f"vim.opt.rtp:prepend([[{PLUGIN}]])\nrequire('cato').setup(vim.json.decode([==[{options}]==]))\n"
    with Neovim(tmp_path, config) as editor:
        yield editor


def test_neovim(neovim: Neovim, tmp_path: Path) -> None:
    file = tmp_path / "sums.py"
    file.write_text(SOURCE)
    neovim.open(file)
    client = "vim.lsp.get_clients({ name = 'cato' })[1]"

    def ready() -> bool:
        return neovim.lua(f"{client} ~= nil and {client}.initialized == true") and (
            neovim.status()["engine"]["phase"] == "ready"
        )

    eventually("the engine is ready", ready, pause=0.5)
    neovim.keys("G")
    neovim.any_suggestion(60)
    neovim.keys("<C-e><Esc>0C")
    neovim.type("    total = fir")
    kill_the_server()
    neovim.type("st + second")
    neovim.keys("<CR>")
    eventually("what is typed is there", lambda: "    total = first + second" in neovim.lines())
    eventually("the engine is ready again", ready, pause=0.5)
    typed = neovim.any_suggestion(60)
    shown = neovim.ghost()
    neovim.keys("<Tab>")
    above = [*SOURCE.split("\n")[:2], "    total = first + second"]
    eventually("the suggestion is inserted", lambda: neovim.lines() == [*above, *(typed + shown).split("\n")])
    neovim.keys("<Esc>:write<CR>")
    eventually("the file is saved", lambda: not neovim.lua("vim.bo.modified"))
    said = neovim.lua("vim.fn.execute('messages')")
    assert said.count(MESSAGE) == 1
    assert "exit code" not in said


def test_vs_code(tmp_path: Path) -> None:
    settings = {**QUIET_SETTINGS, **CODE_ENGINE, "cato.server.standalone": False}
    with Code(tmp_path, {**settings, "cato.server.path": str(server_script(tmp_path))}) as code:
        window = code.window(tmp_path / "workspace")
        window.wait_until_ready()
        path = window.open("sums.py", SOURCE)
        window.any_suggestion(60)
        window.press("Escape", "Home", "Home", "Shift+End", "Delete")
        window.type("    total = fir")
        kill_the_server()
        window.type("st + second")
        window.press("Escape", "Enter")
        window.wait_until_ready()
        typed = window.any_suggestion(60)
        shown = window.ghost()
        window.press("Tab")
        eventually("the suggestion is accepted", lambda: not window.ghost())
        lines = window.save(path).split("\n")
        assert lines[:2] == SOURCE.split("\n")[:2]
        after = lines[lines.index("    total = first + second") + 1]
        assert after.lstrip().startswith((typed + shown).lstrip()[:10])
        assert len([text for text in window.texts(".notification-list-item") if MESSAGE in text]) <= 1
        assert not window.has_error()
