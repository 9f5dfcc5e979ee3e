"""Kills of windows and of the shared server, in numbers, with real servers and engines.

``CATO_KILLS=all`` runs the full campaign: 50 kills of windows and 20 of the server. Otherwise each is a tenth of it.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
import psutil
import pytest

from cato_lsp import __version__
from cato_lsp.lsp import shared_client
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.frames import encode
from cato_lsp.lsp.pipes import open_pipes
from cato_lsp.lsp.shared_client import Relay
from cato_lsp.lsp.shared_server import Windows
from cato_lsp.lsp.shared_socket import connect, shared_socket
from tests.lsp.test_shared import OPTIONS, environment, greet, servers, window
from tests.lsp.wire import PATIENCE, Wire, change, completion

__all__ = ["environment"]
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]

FULL = os.environ.get("CATO_KILLS") == "all"
WINDOW_KILLS = 50 if FULL else 5
SERVER_KILLS = 20 if FULL else 2
SOURCE = "def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n"
LOG = Path("server.log")
"""Only named in messages."""


class Editor:
    """What one editor says, and the text that it has."""

    def __init__(self, wire: Wire, uri: str) -> None:
        self.wire = wire
        self.uri = uri
        self.text = SOURCE
        self.version = 1
        self.asked: list[int] = []

    async def start(self) -> None:
        await self.wire.initialize(options=OPTIONS, textDocument={"inlineCompletion": {}})
        self.wire.open(self.text, self.uri)

    def type(self, text: str) -> None:
        line = self.text.count("\n")
        column = len(self.text.rpartition("\n")[2])
        self.version += 1
        self.text += text
        self.wire.notify("textDocument/didChange", change(self.version, (line, column), (line, column), text, self.uri))

    def ask(self) -> None:
        line = self.text.count("\n")
        self.asked.append(self.wire.ask(*completion(line, len(self.text.rpartition("\n")[2]), self.uri)))

    async def suggestion(self) -> None:
        """Wait until a completion is answered by an engine that is ready."""
        while (await self.wire.status())["engine"]["phase"] != "ready":
            await anyio.sleep(0.1)
        line = self.text.count("\n")
        assert "items" in await self.wire.complete(line, len(self.text.rpartition("\n")[2]), self.uri)

    async def server_text(self) -> str:
        """The text that the server has; asked again where a server has died over the question."""
        while True:
            answer = await self.wire.answer(self.wire.ask("cato/documentText", {"uri": self.uri}))
            if "result" in answer:
                return answer["result"]["text"]
            assert answer["error"]["code"] == -32801, answer

    async def answers(self) -> Counter[int]:
        """How often each completion was answered, once all were."""
        first = [(await self.wire.answer(number))["id"] for number in self.asked]
        await self.wire.status()
        again = [each["id"] for each in self.wire.heard if each.get("id") in self.asked and "method" not in each]
        return Counter([*first, *again])


def memory(pid: int) -> int:
    return psutil.Process(pid).memory_info().rss


async def test_windows_that_are_killed_harm_no_other(environment: dict[str, str]) -> None:
    dice = random.Random(0)

    async def come_and_be_killed() -> None:
        async with window(environment) as visitor:
            # All have the same prompts: the memory of a KV cache comes with the tokens that are computed.
            editor = Editor(visitor.wire, "file:///visitor.py")
            await editor.start()
            for _ in range(dice.randrange(4)):
                editor.type("    ret")
                editor.ask()
                await anyio.sleep(dice.random() * 0.05)
            visitor.process.kill()
            await visitor.process.wait()

    async with window(environment) as steady:
        editor = Editor(steady.wire, "file:///steady.py")
        await editor.start()
        await editor.suggestion()
        (server,) = await servers(environment)
        before = 0
        for number in range(WINDOW_KILLS):
            if number == WINDOW_KILLS // 2:  # what is allocated once is there by then
                before = memory(server)
            editor.type("    return")
            editor.ask()
            await come_and_be_killed()
            assert await editor.server_text() == editor.text
            editor.type("\n")
        assert await editor.answers() == dict.fromkeys(editor.asked, 1)
        with anyio.fail_after(PATIENCE):
            while (await steady.wire.status())["live"]:
                await anyio.sleep(0.05)
        assert await servers(environment) == [server]
        assert abs(memory(server) - before) < 0.05 * before
        assert await steady.leave() == 0


@asynccontextmanager
async def relayed(connector: Any) -> AsyncGenerator[Wire]:
    """An editor whose window's process is this one."""
    relay = Relay(connector, {"version": __version__, "model": None, "log_level": None}, LOG)
    (stdin, keyboard), (screen, stdout) = os.pipe(), os.pipe()
    async with (
        open_pipes(os.fdopen(screen, "rb"), os.fdopen(keyboard, "wb", buffering=0)) as (reader, writer),
        anyio.create_task_group() as group,
    ):
        pipes = os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb", buffering=0)
        group.start_soon(relay.run, await anyio.to_thread.run_sync(connector), *pipes)
        yield Wire(cast("asyncio.StreamReader", reader), cast("asyncio.StreamWriter", writer))
        writer.close()


async def kill_the_server(environment: dict[str, str], editors: list[Editor], pause: float) -> None:
    """Kill it with open requests, and go on typing and asking."""
    (server,) = await servers(environment)
    for editor in editors:
        editor.type("    return")
        editor.ask()
    await anyio.sleep(pause)
    os.kill(server, signal.SIGKILL)
    for editor in editors:
        editor.ask()
        editor.type("\n")


async def test_windows_outlive_the_server_however_often_it_is_killed(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed while it starts, while it loads the model, and while it serves."""
    dice = random.Random(0)
    monkeypatch.setattr(shared_client, "_CRASH_PERIOD", 0.0)  # a window gives up after five crashes in a short time
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def connector() -> socket.socket:
        return connect(shared_socket(None))

    async with relayed(connector) as one, relayed(connector) as two:
        editors = [Editor(one, "file:///one.py"), Editor(two, "file:///two.py")]
        for editor in editors:
            await editor.start()
            await editor.suggestion()
        before = memory((await servers(environment))[0])
        for kill in range(SERVER_KILLS):
            await kill_the_server(environment, editors, dice.random() * 0.1)
            for editor in editors:
                assert await editor.server_text() == editor.text
                if kill % 5 == 4:
                    await editor.suggestion()
            await anyio.sleep(dice.random() * 3)
        for editor in editors:
            await editor.suggestion()
            assert await editor.server_text() == editor.text
            assert await editor.answers() == dict.fromkeys(editor.asked, 1)
            shown = [each for each in editor.wire.heard if each.get("method") == "window/showMessage"]
            assert 0 < len(shown) <= SERVER_KILLS, "at most one message a crash"
        (server,) = await servers(environment)
        assert abs(memory(server) - before) < 0.05 * before


async def test_a_server_that_cannot_run_is_given_up_after_some_tries_with_one_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(shared_client.anyio, "sleep", pause)
    tries: list[socket.socket] = []

    def hang_up() -> socket.socket:
        """Only the first server lives until the editor is initialized."""
        ours, theirs = socket.socketpair()
        if tries:
            theirs.close()
        else:
            first.append(theirs)
        tries.append(ours)
        return ours

    async def serve() -> None:
        assert await relay.run(connection, *pipes) == 1

    first: list[socket.socket] = []
    relay, connection = Relay(hang_up, {"version": __version__}, LOG), hang_up()
    (stdin, keyboard), (screen, stdout) = os.pipe(), os.pipe()
    os.write(keyboard, encode({"id": 1, "method": "initialize", "params": {}}) + encode({"method": "initialized"}))
    with os.fdopen(keyboard, "wb"), os.fdopen(screen, "rb") as shown, anyio.fail_after(PATIENCE):
        pipes = os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb", buffering=0)
        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            read = b""
            while b"initialized" not in read:
                read += await anyio.to_thread.run_sync(first[0].recv, 4096)
            first[0].close()
        said = shown.read().decode()
    assert len(tries) == 5
    assert pauses[0] == 0 < pauses[1] < pauses[2] < pauses[3], "longer each time"
    assert said.count("window/showMessage") == 1
    assert "the server crashed 5 times" in said


async def test_a_connection_to_a_server_that_is_already_dying_is_no_second_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed, a server may accept connections until the last of its sockets is closed."""
    monkeypatch.setattr(shared_client, "_BACK_OFF", 0.0)
    kept: list[socket.socket] = []

    def accept_and_die() -> socket.socket:
        """Every second connection is to the server that has died over the one before."""
        ours, theirs = socket.socketpair()
        kept.append(theirs)
        if len(kept) % 2:
            theirs.sendall(encode({"method": shared_client.HELLO, "params": {"version": __version__, "pid": 1}}))
        theirs.shutdown(socket.SHUT_WR)
        return ours

    relay = Relay(accept_and_die, {"version": __version__}, LOG)
    (stdin, keyboard), (screen, stdout) = os.pipe(), os.pipe()
    with os.fdopen(keyboard, "wb"), os.fdopen(screen, "rb"), anyio.fail_after(PATIENCE):
        pipes = os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb", buffering=0)
        assert await relay.run(accept_and_die(), *pipes) == 1
    for each in kept:
        each.close()
    assert len(kept) == 9, "five servers that had said hello, and four that were dying"


async def test_a_window_of_a_newer_version_gets_a_message_and_a_new_server_when_the_last_older_window_has_closed(
    tmp_path: Path,
) -> None:
    paths = [tmp_path / "old.sock", tmp_path / "new.sock"]
    listeners = [socket.socket(socket.AF_UNIX) for _ in paths]
    for path, listener in zip(paths, listeners, strict=True):
        listener.bind(str(path))
        listener.listen()
    upcoming = iter(paths)

    def connector() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(next(upcoming)))
        return connection

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(Windows(Backend(), listeners[0], version="0.0.1").serve)
            group.start_soon(Windows(Backend(), listeners[1]).serve)
            with greet(paths[0], "0.0.1") as older:
                async with relayed(connector) as wire:
                    editor = Editor(wire, "file:///work.py")
                    await editor.start()
                    said = (await wire.told("window/showMessage"))["params"]["message"]
                    assert f"version {__version__} starts when the windows of version 0.0.1 are closed" in said
                    assert await editor.server_text() == SOURCE
                    older.shutdown(socket.SHUT_WR)
                    while paths[0].exists():
                        await anyio.sleep(0.01)
                    assert await editor.server_text() == SOURCE
                    said = {each.get("method") for each in wire.heard}
                    assert not said & {"window/showMessage", shared_client.HELLO, shared_client.GOODBYE}
            group.cancel_scope.cancel()
