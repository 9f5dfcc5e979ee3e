"""What of the editors' extensions can be seen without an editor."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from editor_languages import generated  # noqa: E402
from vscode_settings import PACKAGE, with_server_settings  # noqa: E402

SOURCES = sorted([*(ROOT / "editors/vscode/src").glob("*.ts"), *(ROOT / "editors/neovim/lua").rglob("*.lua")])
REPEATING = re.compile(r"setInterval|repeatInterval|uv\.new_timer|timer_start|:start\(\s*\d+\s*,\s*[1-9]")


def test_vs_code_offers_every_setting_of_the_server_and_sets_none_by_itself() -> None:
    package = json.loads(PACKAGE.read_text(encoding="utf-8"))
    assert package == with_server_settings(package), "refresh it with: python scripts/vscode_settings.py"
    properties = package["contributes"]["configuration"]["properties"]
    defaults = {name: value["default"] for name, value in properties.items() if not name.startswith("cato.server.")}
    assert all(value in (None, "", []) for value in defaults.values()), defaults


@pytest.mark.parametrize(("path", "text"), generated().items(), ids=[path.name for path in generated()])
def test_the_editors_know_the_languages_of_the_server(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "refresh it with: python scripts/editor_languages.py"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_extension_polls(source: Path) -> None:
    assert not REPEATING.findall(source.read_text(encoding="utf-8"))


def test_neovim_runs_no_program_that_comes_with_the_project() -> None:
    server = (ROOT / "editors/neovim/lua/cato/server.lua").read_text(encoding="utf-8")
    programs = re.findall(r"(\S+) \.\. \"[^\"]*/bin/cato-lsp\"", server)
    assert sorted(programs) == ["checkout", "vim.env.VIRTUAL_ENV"]
    assert not re.findall(r"cwd\(|fs\.root\(", server)


def test_vs_code_loads_the_client_library_only_when_the_server_is_started() -> None:
    folder = ROOT / "editors/vscode/src"
    texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.ts")}
    library = re.compile(r'^import (?!type\b)[^;]*"vscode-languageclient[^;]*;', re.MULTILINE)
    assert [name for name, text in texts.items() if library.search(text)] == ["languageClient"]
    ours = re.compile(r'^import (?!type\b)[^;]*"\./languageClient";', re.MULTILINE)
    assert not [name for name, text in texts.items() if ours.search(text)]


def test_every_command_that_vs_code_offers_is_registered() -> None:
    package = json.loads(PACKAGE.read_text(encoding="utf-8"))
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES if path.suffix == ".ts")
    offered = [each["command"].removeprefix("cato-lsp.") for each in package["contributes"]["commands"]]
    registered = set(re.findall(r'^\s*(?:register\(|\[)"([a-z]\w*)",', code, re.MULTILINE))
    assert set(offered) == registered
