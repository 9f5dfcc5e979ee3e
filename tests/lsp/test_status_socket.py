"""``cato-lsp status`` asks the servers of this user."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from typer.testing import CliRunner

from cato_lsp.cli import app
from cato_lsp.lsp import status_socket
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.status_socket import ask_servers, serve_status

pytestmark = pytest.mark.anyio


async def test_only_the_user_of_a_server_can_read_its_status(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    monkeypatch.setattr(status_socket, "socket_folder", lambda: folder)
    path = folder / f"{os.getpid()}.sock"
    async with anyio.create_task_group() as group:
        group.start_soon(serve_status, backend)
        with anyio.fail_after(60):
            while not (answers := await anyio.to_thread.run_sync(ask_servers)):
                await anyio.sleep(0.001)
        assert modes(path) == (0o700, 0o600)
        (status,) = answers
        assert status["pid"] == os.getpid()
        assert status["engine"]["phase"] == "ready"
        assert set(status) == {"pid", "engine", "model", "stats", "kinds", "live", "memory", "machine"}
        shown = await anyio.to_thread.run_sync(lambda: CliRunner().invoke(app, ["status"]))
        assert shown.exit_code == 0
        assert "ready" in shown.stdout
        group.cancel_scope.cancel()
    assert not await anyio.Path(path).exists()


def modes(path: Path) -> tuple[int, int]:
    return stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode)


async def test_the_socket_of_a_dead_server_is_removed(tmp_path: Path) -> None:
    ended = await anyio.run_process([sys.executable, "-c", "import os; print(os.getpid())"])
    path = tmp_path / f"{int(ended.stdout)}.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert ask_servers(tmp_path) == []
    assert not await anyio.Path(path).exists()


async def test_a_server_that_does_not_listen_yet_keeps_its_socket(tmp_path: Path) -> None:
    path = tmp_path / f"{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as starting:
        starting.bind(str(path))
        assert ask_servers(tmp_path) == []
        assert await anyio.Path(path).exists()


async def test_a_server_without_a_private_folder_runs_without_a_status_socket(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(status_socket, "socket_folder", refuse)
    caplog.set_level("INFO")
    await serve_status(Backend())
    assert "No status socket" in caplog.text
    assert ask_servers() == []


async def test_an_answer_that_fails_leaves_the_socket_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, asked = Backend(), 0
    tell = status_socket.backend_status

    def fail_once(asked_of: Backend) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RuntimeError
        return tell(asked_of)

    monkeypatch.setattr(status_socket, "backend_status", fail_once)
    async with anyio.create_task_group() as group:
        group.start_soon(serve_status, backend, tmp_path)
        with anyio.fail_after(60):
            while not await anyio.to_thread.run_sync(ask_servers, tmp_path):
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert asked == 2


async def test_status_reports_that_no_server_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_socket, "socket_folder", lambda: tmp_path)
    shown = CliRunner().invoke(app, ["status"])
    assert shown.exit_code == 1
    assert "No server is running" in shown.stdout
