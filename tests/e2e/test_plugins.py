"""Other people's plugins in Neovim, with the settings of docs/team.md, on a team's server over TLS.

No package registry has these plugins. Whoever has a checkout names its folder in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.editors import LINE_STARTS, ROOT, code_blocks, eventually, within
from tests.e2e.neovim import Neovim
from tests.e2e.team_server import TeamServer

SOURCE = '''def add(first, second):
    """Add two numbers."""

'''
PLUGINS = {
    "CATO_MINUET": ("require('minuet')", "minuet.virtualtext", "<A-A>"),
    "CATO_LLAMA_VIM": ("vim.g.llama_config", "vt_fim", "<Tab>"),
}
"""By the variable with the plugin's folder: what its settings contain, the namespace of its ghost text, its key."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamServer]:
    """A server for the tests of this module."""
    server = TeamServer(tmp_path_factory.mktemp("team"))
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize("variable", PLUGINS)
def test_a_plugin_shows_and_accepts_a_suggestion(variable: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"{variable} is not set: the folder of the plugin's checkout, which no package registry has")
    server: TeamServer = request.getfixturevalue("server")
    telling, namespace, accept = PLUGINS[variable]
    (settings,) = code_blocks("docs/team.md", "lua", telling, ROOT)
    settings = settings.replace("gpu.example.org:8765", f"127.0.0.1:{server.port}")
    settings = settings.replace("Qwen/Qwen2.5-Coder-7B", "bundled")
    # A loaded machine may need longer than the plugin waits.
    settings = settings.replace("throttle = 0,", "throttle = 0, request_timeout = 60,")
    file = tmp_path / "sums.py"
    file.write_text(SOURCE)
    config = f"vim.opt.rtp:prepend([[{folder}]])\n{settings}"
    environment = server.laptop(tmp_path)
    # What curl looks at first; a machine's own setting must not win.
    environment["CURL_CA_BUNDLE"] = environment["SSL_CERT_FILE"]
    with Neovim(tmp_path, config, environment) as neovim:
        neovim.open(file)
        neovim.keys("G")
        typed, ghost = suggestion(neovim, namespace)
        neovim.keys(accept)
        wanted = [*SOURCE.split("\n")[:-2], *(typed + ghost).split("\n")]
        eventually("the suggestion is inserted", lambda: neovim.lines()[: len(wanted)] == wanted)
    assert server.overview()["users"]["alice"]["calls"] > 0


def suggestion(neovim: Neovim, namespace: str) -> tuple[str, str]:
    """Type until the plugin shows a suggestion: the typed line and the suggestion."""
    shown = (
        f"vim.iter(vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('{namespace}'), 0, -1,"
        " { details = true })):map(function(mark)"
        " local lines = vim.iter(mark[4].virt_lines or {}):map(function(line) return line[1][1] end):totable()"
        " return { mark[4].virt_text and mark[4].virt_text[1][1] or '', lines } end):totable()"
    )

    def ghost() -> str:
        marks: list[tuple[str, list[str]]] = neovim.lua(shown)
        first = "".join(text for text, _ in marks)
        return "\n".join([first, *(line for _, lines in marks for line in lines)]) if first.strip() else ""

    for typed in LINE_STARTS:
        neovim.begin(typed)
        if found := within(10, ghost):
            return typed, found
    raise AssertionError("the plugin shows no suggestion")
