"""What `cato-lsp fleet up` says before it starts anything."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cato_lsp.fleet import cli
from cato_lsp.gateway.keys import KeyFile


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = tmp_path / "cato-lsp"
    config.mkdir()
    (config / "cato.toml").write_text('model = "bundled"\n[engine]\nthreads = 1\n')


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = KeyFile(tmp_path / "keys.json")
    file.add("alice")
    return file.path


def said(*arguments: str) -> str:
    """What `fleet up` prints. It must fail, in two lines at most."""
    result = CliRunner().invoke(cli.app, ["up", *arguments])
    assert result.exit_code == 1, result.output
    assert len(result.output.splitlines()) <= 2
    assert "Starting" not in result.output
    return result.output


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cato_lsp.fleet.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert said() == "ray is not installed: `pip install cato-lsp[fleet]`.\n"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fleet_that_cannot_start_is_refused_before_anything_is_started(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr("cato_lsp.fleet.local.local_fleet", None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "Address already in use" in said("--keys", str(keys), "--port", port)
    assert "cato-lsp keys add NAME" in said("--keys", str(tmp_path / "none.json"))
    assert "--max-replicas 1 is less than --replicas 2" in said("--replicas", "2", "--max-replicas", "1")
    assert "config.json" in said("--keys", str(keys), "--model", str(tmp_path))
    assert "--tls-cert and --tls-key" in said("--keys", str(keys), "--host", "0.0.0.0")
    many = 1 + (os.cpu_count() or 1)
    assert f"{many} engines of 1 threads need {many} CPUs" in said("--keys", str(keys), "--replicas", str(many))
