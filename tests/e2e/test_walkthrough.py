"""What README.md and docs/editors.md tell people to write into their editors, taken from there and followed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.editors import ROOT, VSIX, code_blocks, eventually
from tests.e2e.neovim import Neovim
from tests.e2e.vscode import Code

SOURCE = '''def add(first, second):
    """Add two numbers."""
'''


@contextmanager
def neovim(folder: Path, config: str) -> Iterator[Neovim]:
    """Neovim with this ``init.lua``, its cursor on the empty line at the end of a file, the server started."""
    with Neovim(folder, config) as neovim:
        path = folder / "sums.py"
        path.write_text(f"{SOURCE}\n")
        neovim.open(path)
        client = "vim.lsp.get_clients({ name = 'cato' })[1]"
        eventually("the server is started", lambda: neovim.lua(f"{client} ~= nil and {client}.initialized == true"))
        neovim.keys("G")
        yield neovim


def take_a_suggestion(neovim: Neovim) -> None:
    """Type until a suggestion is shown, press Tab, save: the file has it."""
    eventually("the engine is ready", lambda: neovim.status()["engine"]["phase"] == "ready", pause=0.5)
    typed = neovim.any_suggestion()
    shown = neovim.ghost()
    neovim.keys("<Tab>")
    eventually("the suggestion is inserted", lambda: neovim.lines()[2:] == (typed + shown).split("\n"))
    neovim.keys("<Esc>:write<CR>")
    eventually("the file is saved", lambda: not neovim.lua("vim.bo.modified"))
    assert (neovim.folder / "sums.py").read_text() == f"{SOURCE}{typed}{shown}\n"


def test_neovim_with_our_plugin(checkout: Path, tmp_path: Path) -> None:
    (config,) = code_blocks("README.md", "lua", 'require("cato").setup', checkout)
    assert [config] == code_blocks("docs/editors.md", "lua", 'require("cato").setup', checkout)
    with neovim(tmp_path, config) as editor:
        take_a_suggestion(editor)
        assert editor.lua("require('cato').statusline()") == "cato ✓"


def test_neovim_without_our_plugin(checkout: Path, tmp_path: Path) -> None:
    (config,) = code_blocks("README.md", "lua", "vim.lsp.enable", checkout)
    with neovim(tmp_path, config) as editor:
        take_a_suggestion(editor)


def test_neovim_as_lazy_nvim_loads_the_plugin(checkout: Path, tmp_path: Path) -> None:
    (entry,) = code_blocks("docs/editors.md", "lua", "opts = ", checkout)
    # What lazy.nvim does with such an entry: the folder goes on the path, its only module is set up with the options.
    config = f"local entry = {entry}\nvim.opt.rtp:prepend(entry.dir)\n"
    config += "local modules = vim.fn.readdir(entry.dir .. '/lua')\nassert(#modules == 1)\n"
    config += "require(modules[1]).setup(entry.opts)\n"
    with neovim(tmp_path, config) as editor:
        assert editor.lua("vim.fn.maparg('<Tab>', 'i') ~= ''")


def test_vs_code_with_one_line_of_settings_and_a_folder_that_is_trusted(checkout: Path, tmp_path: Path) -> None:
    commands = "".join(code_blocks("README.md", "sh", "--install-extension", ROOT)).split("\n")
    assert f"code --install-extension {VSIX.relative_to(ROOT)}" in commands
    (settings,) = code_blocks("README.md", "json", "cato.server.path", checkout)
    assert [settings] == code_blocks("docs/editors.md", "json", "cato.server.path", checkout)
    with Code(tmp_path, json.loads(settings)) as code:
        window = code.window(tmp_path / "project")
        window.click(".part.banner >> text=Manage")
        window.click(".workspace-trust-editor .monaco-button:has-text('Trust')")
        window.wait_until_ready()
        path = window.open("sums.py", SOURCE)
        typed = window.any_suggestion()
        shown = window.ghost()
        window.press("Tab")
        eventually("the suggestion is accepted", lambda: not window.ghost())
        window.press("Control+S")
        eventually("the file is saved", lambda: path.read_text().startswith(SOURCE + typed + shown))
