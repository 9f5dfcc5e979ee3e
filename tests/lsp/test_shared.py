"""All windows of a user are served by one process with one engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import psutil
import pytest

from cato_lsp import __version__
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.shared_server import Windows
from cato_lsp.lsp.shared_socket import STOP, locked, shared_log, shared_socket
from cato_lsp.lsp.status_socket import ask_servers
from tests.lsp.wire import PATIENCE, Wire, change, completion, fixture_text

pytestmark = pytest.mark.anyio

OPTIONS = {"engine": {"threads": 1, "kvCacheGb": 0.25}, "completion": {"answerMs": 20000}}


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A user's own folders. The servers that a test leaves behind are ended."""
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    yield {
        **os.environ,
        "XDG_RUNTIME_DIR": str(run),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    for pid in server_pids(run):
        os.kill(pid, signal.SIGKILL)


def server_pids(run: Path) -> list[int]:
    return [server["pid"] for server in ask_servers(run / "cato-lsp")]


class Window:
    """An editor window: the process that it started, and what they say to each other."""

    def __init__(self, process: Process) -> None:
        assert process.stdin
        assert process.stdout
        self.process = process
        self.wire = Wire(process.stdout, process.stdin)

    async def open(self, options: dict[str, Any] = OPTIONS) -> None:
        capabilities: dict[str, Any] = {"textDocument": {"inlineCompletion": {}}}
        params: dict[str, Any] = {"processId": None, "capabilities": capabilities, "initializationOptions": options}
        await self.wire.call("initialize", params)
        self.wire.notify("initialized", {})

    async def ready(self) -> None:
        while not (await self.wire.told("cato/didChangeStatus"))["params"]["message"].startswith("Ready"):
            pass

    async def leave(self) -> int:
        await self.wire.call("shutdown")
        self.wire.notify("exit")
        return await self.process.wait()


@asynccontextmanager
async def window(environment: dict[str, str], log: Path | None = None) -> AsyncGenerator[Window]:
    """
    :param log: file for the window's stderr.
    """
    with nullcontext() if log is None else log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cato_lsp", stdin=PIPE, stdout=PIPE, stderr=stderr, env=environment
        )
    try:
        yield Window(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def servers(environment: dict[str, str]) -> list[int]:
    """The servers of this user, as soon as one of them tells its status."""
    with anyio.fail_after(PATIENCE):
        while not (found := await anyio.to_thread.run_sync(server_pids, Path(environment["XDG_RUNTIME_DIR"]))):
            await anyio.sleep(0.01)
    return found


async def test_two_windows_share_one_engine_that_stays_when_one_closes_copilot_vim_266(
    environment: dict[str, str],
) -> None:
    text = fixture_text("textwrap.py")
    line = next(n for n, each in enumerate(text.split("\n")) if each.startswith("import re"))
    ask = {
        "textDocument": {"uri": "file:///textwrap.py"},
        "position": {"line": line, "character": 7},
        "context": {"triggerKind": 1},
    }
    opened = {"uri": "file:///textwrap.py", "languageId": "python", "version": 1, "text": text}
    async with window(environment) as first, window(environment) as second:
        for each in (first, second):
            await each.open()
            await each.ready()
            each.wire.notify("textDocument/didOpen", {"textDocument": opened})
            assert "items" in await each.wire.call("textDocument/inlineCompletion", ask)
        (server,) = await servers(environment)
        assert server not in (first.process.pid, second.process.pid)

        first.process.kill()
        await first.process.wait()
        assert "items" in await second.wire.call("textDocument/inlineCompletion", ask)
        status = await second.wire.call("cato/status")
        assert sum(status["kinds"]["completion"]["outcomes"].values()) == 3, "one server has both in its books"
        assert status["live"] == 0
        assert await second.leave() == 0


async def test_a_window_with_other_engine_settings_gets_one_message_that_names_the_differences(
    environment: dict[str, str],
) -> None:
    async with window(environment) as first, window(environment) as second:
        await first.open()
        await servers(environment)
        await first.wire.call("cato/status")  # answered once the settings of the first window hold
        await second.open({"engine": {"threads": 1, "kvCacheGb": 0.5, "dtype": "float32"}})
        said = (await second.wire.told("window/showMessage"))["params"]["message"]
        assert "engine.kv_cache_gb is 0.25, not 0.5, engine.dtype is auto, not float32." in said
        assert "`cato-lsp stop`" in said
        second.wire.notify("workspace/didChangeConfiguration", {"settings": None})
        await second.wire.call("cato/status")
        await first.wire.call("cato/status")
        assert not [m for m in second.wire.heard + first.wire.heard if m["method"] == "window/showMessage"]


async def test_windows_that_open_at_once_start_one_server_that_only_its_user_can_reach(
    environment: dict[str, str],
) -> None:
    async with window(environment) as one, window(environment) as two, window(environment) as three:
        async with anyio.create_task_group() as group:
            for each in (one, two, three):
                group.start_soon(each.open)
        assert len(await servers(environment)) == 1
        (path,) = (Path(environment["XDG_RUNTIME_DIR"]) / "cato-lsp" / "shared").glob("*.sock")
        assert [stat.S_IMODE(each.stat().st_mode) for each in (path.parent, path)] == [0o700, 0o600]


async def test_windows_continue_their_sessions_when_the_server_is_killed(environment: dict[str, str]) -> None:
    async with window(environment) as first, window(environment) as second:
        for number, each in enumerate((first, second)):
            await each.open()
            each.wire.open("def add(first, second):\n", uri=f"file:///{number}.py")
            each.wire.notify("textDocument/didChange", change(2, (1, 0), (1, 0), "    re", uri=f"file:///{number}.py"))
        await first.ready()
        await second.wire.status()
        (server,) = await servers(environment)

        os.kill(server, signal.SIGKILL)
        for number, each in enumerate((first, second)):
            shown = (await each.wire.told("window/showMessage"))["params"]["message"]
            assert shown.startswith("Cato: the server crashed and is restarted.")
            each.wire.notify("textDocument/didChange", change(3, (1, 6), (1, 6), "turn", uri=f"file:///{number}.py"))
            text = await each.wire.call("cato/documentText", {"uri": f"file:///{number}.py"})
            assert (text["text"], text["version"]) == ("def add(first, second):\n    return", 3)
            await each.ready()
            assert "items" in await each.wire.complete(1, 10, uri=f"file:///{number}.py")
        assert await servers(environment) != [server]
        for each in (first, second):
            assert not [said for said in each.wire.heard if said["method"] == "window/showMessage"]
            assert await each.leave() == 0


async def test_a_window_that_closes_its_pipe_ends_with_an_error_code(environment: dict[str, str]) -> None:
    async with window(environment) as gone:
        await gone.open()
        gone.wire.close()
        assert await gone.process.wait() == 1


async def test_without_a_shared_server_a_window_is_served_by_its_own_process(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment["XDG_STATE_HOME"] = str(tmp_path / "a file")
    (tmp_path / "a file").touch()
    async with window(environment) as alone:
        await alone.open()
        assert await servers(environment) == [alone.process.pid]
        assert await alone.leave() == 0


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s.sock"))
        bound.listen()
        yield bound


def greet(path: Path, version: str = __version__) -> socket.socket:
    """Connect as a window does."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    connection.sendall(json.dumps({"version": version, "model": None, "log_level": None}).encode() + b"\n")
    return connection


async def said(connection: socket.socket) -> list[dict[str, Any]]:
    """All that a server says to a window until it closes the connection."""
    data = b""
    while chunk := await anyio.to_thread.run_sync(connection.recv, 65536):
        data += chunk
    return [json.loads(part.partition(b"\r\n\r\n")[2]) for part in data.split(b"Content-Length: ")[1:]]


def goodbye(code: int | None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "cato/goodbye", "params": {"exitCode": code}}


async def test_the_server_ends_after_its_last_window_and_removes_the_socket(
    listener: socket.socket, tmp_path: Path
) -> None:
    connection = greet(tmp_path / "s.sock")
    with connection, anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(Windows(Backend(), listener, linger=0.0).serve)
            connection.shutdown(socket.SHUT_WR)
            assert (await said(connection))[-1] == goodbye(1)
    assert not (tmp_path / "s.sock").exists()


async def test_a_server_about_to_end_serves_the_window_that_just_came(listener: socket.socket, tmp_path: Path) -> None:
    """A window holds the lock while it connects; whoever is in the queue then must not be dropped."""
    windows = Windows(Backend(), listener, linger=0.0)
    async with anyio.create_task_group() as group:
        with locked(tmp_path / "s.sock"):
            group.start_soon(windows.serve)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            connection = greet(tmp_path / "s.sock")
        connection.shutdown(socket.SHUT_WR)
        with connection, anyio.fail_after(PATIENCE):
            assert (await said(connection))[-1] == goodbye(1)


async def test_an_invalid_greeting_closes_only_its_own_connection(listener: socket.socket, tmp_path: Path) -> None:
    connection = greet(tmp_path / "s.sock")
    with connection, socket.socket(socket.AF_UNIX) as stranger, anyio.fail_after(PATIENCE):
        stranger.connect(str(tmp_path / "s.sock"))
        stranger.sendall(b"nonsense\n")
        async with anyio.create_task_group() as group:
            group.start_soon(Windows(Backend(), listener, linger=0.0).serve)
            assert await anyio.to_thread.run_sync(stranger.recv, 1) == b""
            connection.shutdown(socket.SHUT_WR)
            assert (await said(connection))[-1] == goodbye(1)


async def stop(environment: dict[str, str]) -> tuple[int | None, str]:
    """Run ``cato-lsp stop``; the exit code and all that it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cato_lsp", "stop", stdout=PIPE, stderr=STDOUT, env=environment
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_stop_ends_the_server_and_its_windows_cleanly(environment: dict[str, str], tmp_path: Path) -> None:
    log, temporary = tmp_path / "editor.log", tmp_path / "temporary"
    temporary.mkdir()
    environment["TMPDIR"] = str(temporary)
    async with window(environment, log) as first, window(environment) as second:
        for each in (first, second):
            await each.open()
        await first.ready()
        assert [path.name for path in temporary.iterdir() if path.name.startswith("vllm")]
        (server,) = await servers(environment)
        first.wire.open(fixture_text("textwrap.py"))
        asked = first.wire.ask(*completion(10, 0))

        code, said = await stop(environment)
        assert (code, said) == (0, f"Stopped the shared server (process {server}); 2 windows were open.\n")
        assert not psutil.pid_exists(server) or psutil.Process(server).status() == psutil.STATUS_ZOMBIE
        assert not [path.name for path in temporary.iterdir() if path.name.startswith("vllm")]
        assert "items" in (await first.wire.answer(asked))["result"]
        for each in (first, second):
            status = await each.wire.hear(lambda told: "kind" in str(told) and "cato-lsp stop" in str(told))
            assert status["params"]["busy"] is False
            assert "cato-lsp stop" in (await each.wire.told("window/showMessage"))["params"]["message"]
            assert await each.process.wait() == 0
    lines = log.read_text().splitlines()
    assert any("The model is bundled" in line for line in lines), "the server's log is in the editor's own"
    assert not [line for line in lines if " cato_lsp" not in line], "vLLM and PyTorch report nothing at a start"
    async with window(environment) as again:
        await again.open()
        assert await servers(environment) != [server]


async def test_stop_says_that_no_server_runs(environment: dict[str, str]) -> None:
    assert await stop(environment) == (1, "No shared server is running.\n")
    folder = Path(environment["XDG_RUNTIME_DIR"]) / "cato-lsp" / "shared"
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(folder / "dead.sock"))
    assert await stop(environment) == (1, "No shared server is running.\n")


async def test_stop_says_what_to_do_about_a_server_that_does_not_end(environment: dict[str, str]) -> None:
    folder = Path(environment["XDG_RUNTIME_DIR"]) / "cato-lsp" / "shared"
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / "other.sock"))
        other.listen()
        other.setblocking(False)
        async with anyio.create_task_group() as group:

            async def hang_up() -> None:
                (await asyncio.get_running_loop().sock_accept(other))[0].close()

            group.start_soon(hang_up)
            code, said = await stop(environment)
    assert code == 2
    assert "End its process; `cato-lsp status` names it." in said


async def test_a_window_that_connects_just_before_the_stop_has_an_end_like_the_others(
    listener: socket.socket, tmp_path: Path
) -> None:
    windows = Windows(Backend(), listener)
    with socket.socket(socket.AF_UNIX) as stopper, anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            with locked(tmp_path / "s.sock"):
                group.start_soon(windows.serve)
                stopper.connect(str(tmp_path / "s.sock"))
                stopper.sendall(json.dumps(STOP).encode() + b"\n")
                told = json.loads(await anyio.to_thread.run_sync(stopper.recv, 4096))
                connection = greet(tmp_path / "s.sock")
            with connection:
                assert (await said(connection))[-1] == goodbye(0)
    assert told == {"pid": os.getpid(), "windows": 0}
    assert not (tmp_path / "s.sock").exists()


def test_windows_of_another_model_have_another_server() -> None:
    assert shared_socket(None) != shared_socket("/models/other")


def test_windows_of_another_installation_have_another_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "one")
    sockets: list[Path] = []
    for name in ("one", "link", "two"):
        monkeypatch.setattr("sys.prefix", str(tmp_path / name))
        sockets.append(shared_socket(None))
    one, link, two = sockets
    assert one == link != two
    assert shared_log(one) != shared_log(two), "the start of one server must not replace the log of another"
    assert one.parent == two.parent, "`cato-lsp stop` looks there for all of them"
