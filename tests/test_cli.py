from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cato_lsp import __version__
from cato_lsp.cli import parse_address
from cato_lsp.config import settings_markdown


def cato(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    if cwd:
        environment["XDG_CONFIG_HOME"] = str(cwd / "config")
    return subprocess.run(
        [sys.executable, "-m", "cato_lsp", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def test_version_is_that_of_the_package() -> None:
    result = cato("--version")
    assert (result.returncode, result.stdout) == (0, f"cato-lsp {__version__}\n")


def test_help_names_the_commands_and_the_options_of_the_server() -> None:
    result = cato("--help")
    assert result.returncode == 0
    for word in ("doctor", "settings", "status", "stop", "--tcp", "--model", "--stdio", "--log-file", "--log-level"):
        assert word in result.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:2087", ("127.0.0.1", 2087)),
        ("[::1]:80", ("::1", 80)),
        (":2087", ("127.0.0.1", 2087)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["2087", "localhost:", "localhost:0", "localhost:65536", "a:b", "h:-1", ""])
def test_a_wrong_address_says_what_is_expected(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--tcp", "nowhere"], "HOST:PORT"),
        (["--log-level", "loud"], "debug"),
        (["--tcp", ":2087", "--stdio"], "cannot be combined"),
        (["frobnicate"], "No such command"),
    ],
)
def test_wrong_arguments_are_named_on_stderr_and_stdout_stays_silent(arguments: list[str], expected: str) -> None:
    result = cato(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert expected in result.stderr


def test_settings_shows_what_holds_in_this_folder(tmp_path: Path) -> None:
    (tmp_path / "cato.toml").write_text("[completion]\nmax_lines = 7\n", encoding="utf-8")
    result = cato("settings", cwd=tmp_path)
    assert result.returncode == 0
    row = next(line for line in result.stdout.splitlines() if "completion.max_lines" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][1] == "7"


def test_settings_prints_the_reference_table() -> None:
    result = cato("settings", "--markdown")
    assert (result.returncode, result.stdout) == (0, settings_markdown())


def test_settings_names_wrong_keys_and_fails(tmp_path: Path) -> None:
    (tmp_path / "cato.toml").write_text("max_lines = 7\n", encoding="utf-8")
    result = cato("settings", cwd=tmp_path)
    assert result.returncode == 1
    assert "did you mean completion.max_lines?" in result.stdout


def test_the_commands_of_this_file_import_neither_pygls_nor_vllm_nor_torch() -> None:
    code = (
        "import json, sys; import cato_lsp.cli, cato_lsp.config, cato_lsp.doctor; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert not {"pygls", "lsprotocol", "vllm", "torch", "transformers"} & set(json.loads(result.stdout))
