"""A window's side of the shared server: a relay between the editor's pipes and the server's socket.

One process with one engine serves all windows of a user: the model is in memory once, a second window does not wait
for it, and one scheduler serves all windows. The relay keeps the state of the session (`SessionState`). When the server
crashes, or is replaced by a newer version, the relay connects to another server and continues the session there.
The user only sees a message.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import anyio
import anyio.to_thread

from cato_lsp import __version__
from cato_lsp.lsp.frames import Message, Reader, decode, encode, read_frame
from cato_lsp.lsp.log_copy import LogCopy
from cato_lsp.lsp.pipes import StreamWriter, open_pipes
from cato_lsp.lsp.session_state import SessionState
from cato_lsp.lsp.shared_socket import connect, shared_log

logger = logging.getLogger(__name__)

HELLO: Final = "cato/hello"
"""Notification ``{version, pid}``: the server's first message to a window's process."""
GOODBYE: Final = "cato/goodbye"
"""Notification ``{exitCode}``: the server's last message; if null, the session continues on another server."""

_MOST_CRASHES = 5
"""Number of crashes within `_CRASH_PERIOD` after which a window gives up."""
_CRASH_PERIOD = 180.0
"""Seconds."""
_BACK_OFF = 1.0
"""Seconds between the second crash in that period and the next server; then 3, 7 times as long. None at the first."""
_CLOSING = 0.1
"""Seconds that a killed process needs at most to close its sockets."""
_LAST_WORDS = 2.0
"""Seconds that the editor has to read the remaining data."""


def serve_window(path: Path, connection: socket.socket, overrides: dict[str, Any]) -> int:
    """Connect the editor on stdin and stdout with the shared server until the editor leaves; return the exit code.

    :param path: the server's socket.
    :param connection: to the server.
    :param overrides: settings of the command line.
    """
    server_log = shared_log(path)
    relay = Relay(lambda: connect(path), {"version": __version__, **overrides}, server_log)
    stdin, stdout = os.fdopen(0, "rb", closefd=False), os.fdopen(1, "wb", buffering=0, closefd=False)

    async def serve() -> int:
        code = 1
        log = LogCopy(server_log, _log_descriptor())
        async with anyio.create_task_group() as group:
            group.start_soon(log.run)
            code = await relay.run(connection, stdin, stdout)
            group.cancel_scope.cancel()
        with anyio.move_on_after(_LAST_WORDS), suppress(OSError):
            await anyio.to_thread.run_sync(log.copy, abandon_on_cancel=True)
        return code

    return anyio.run(serve)


def _log_descriptor() -> int:
    """The file descriptor of this process's log: stderr, or the file of ``--log-file``."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and (stream := handler.stream) is not None:
            return stream.fileno()
    return 2


class Relay:
    """Serves one editor through a shared server, and outlives the server.

    :param connect: connects to the shared server, and starts one if none runs.
    :param greeting: the first message to the server, with the window's version and settings.
    :param log: the server's log, which messages name.
    """

    def __init__(self, connect: Callable[[], socket.socket], greeting: dict[str, Any], log: Path) -> None:
        self._connect = connect
        self._greeting = greeting
        self._log = log
        self._state = SessionState()
        self._server: StreamWriter | None = None
        self._exit_code: int | None = None
        self._gives_way = False
        self._server_version = __version__
        self._crashes: list[float] = []
        self._greeted = False
        """Whether a server has sent `HELLO` since the last message about a crash."""
        self._said_hello = False
        """Whether the server of this connection has sent `HELLO`."""
        self._just_crashed = False
        """Whether the previous connection ended in a crash of a server that had sent `HELLO`."""

    async def run(self, connection: socket.socket, stdin: BinaryIO, stdout: BinaryIO) -> int:
        """Relay until the session ends; return the exit code."""
        async with open_pipes(stdin, stdout) as (reader, writer):
            self._editor = writer
            async with anyio.create_task_group() as group:
                group.start_soon(self._read_editor, reader)
                await self._serve(connection)
                group.cancel_scope.cancel()
            if isinstance(writer, StreamWriter):
                with anyio.move_on_after(_LAST_WORDS):
                    await writer.finish()
        return 1 if self._exit_code is None else self._exit_code

    async def _serve(self, connection: socket.socket) -> None:
        """Relay to one server after the other until the session ends."""
        while True:
            await self._serve_by(connection)
            if self._exit_code is not None:
                return
            for frame in self._state.settle():
                self._editor.write(frame)
            if not self._gives_way and not await self._recover():
                return
            try:
                connection = await anyio.to_thread.run_sync(self._connect)
            except OSError as error:
                self._show(1, f"Cato: the server cannot be started: {error}")
                return
            if self._exit_code is not None:
                connection.close()
                return

    async def _serve_by(self, connection: socket.socket) -> None:
        """Relay the messages of one server until its connection ends."""
        connection.setblocking(False)
        reader, stream = await asyncio.open_unix_connection(sock=connection)
        server = self._server = StreamWriter(stream)
        self._gives_way = self._said_hello = False
        server.write(json.dumps(self._greeting).encode() + b"\n")
        for frame in self._state.replay():
            server.write(frame)
        try:
            while (frame := await read_frame(reader)) is not None:
                message = decode(frame)
                if self._heard(message):
                    continue
                passes, answers = self._state.from_server(message)
                if passes:
                    self._editor.write(frame)
                for answer in answers:
                    server.write(answer)
        finally:
            self._server = None
            server.close()

    def _heard(self, message: Message) -> bool:
        """Process a message for this process. Returns whether it was one; others are for the editor."""
        match message.get("method"):
            case "cato/hello":
                self._greeted = self._said_hello = True
                self._state.served()
                self._server_version = message["params"]["version"]
                pid = message["params"]["pid"]
                logger.info("Served by the shared server, process %d; its log is %s", pid, self._log)
                self._tell_version()
            case "cato/goodbye":
                code = message["params"]["exitCode"]
                self._gives_way = code is None
                self._exit_code = code if self._exit_code is None else self._exit_code
            case _:
                return False
        return True

    async def _read_editor(self, reader: Reader) -> None:
        """Forward the editor's messages, and update the state of the session."""
        while (frame := await read_frame(reader)) is not None:
            was_initialized = self._state.initialized
            frames = self._state.from_editor(frame)
            if self._state.exited:
                self._exit_code = 0 if self._state.shut_down else 1
            if self._server is not None:
                for each in frames:
                    self._server.write(each)
            if self._state.initialized and not was_initialized:
                self._tell_version()
        self._exit_code = 1 if self._exit_code is None else self._exit_code
        if self._server is not None:
            self._server.end()

    async def _recover(self) -> bool:
        """Report a crash to the editor, and wait, longer each time. Returns whether to connect again.

        A killed process closes one socket after the other. It may accept a connection that then ends without
        `HELLO`. This connection counts as part of the same crash.
        """
        is_same_crash = self._just_crashed and not self._said_hello
        self._just_crashed = self._said_hello
        if is_same_crash:
            await anyio.sleep(_CLOSING)
            return True
        now = time.monotonic()
        self._crashes = [*(each for each in self._crashes if now - each < _CRASH_PERIOD), now]
        count = len(self._crashes)
        logger.warning("The shared server has died; its log is %s", self._log)
        if count >= _MOST_CRASHES:
            self._show(1, f"Cato: the server crashed {count} times in a few minutes. Its log: {self._log}")
            return False
        if self._state.initialized and self._greeted:
            self._greeted = False
            status = {"busy": True, "message": "Restarting", "kind": "Normal"}
            self._editor.write(encode({"method": "cato/didChangeStatus", "params": status}))
            self._show(2, "Cato: the server crashed and is restarted. Suggestions return when the model is loaded.")
        await anyio.sleep(_BACK_OFF * (2 ** (count - 1) - 1))
        return True

    def _tell_version(self) -> None:
        """Report to an initialized editor that the server has an older version."""
        if release(self._server_version) < release(__version__):
            self._show(
                3,
                f"Cato: version {__version__} starts when the windows of version {self._server_version} are closed, "
                "or after `cato-lsp stop`.",
            )

    def _show(self, kind: int, text: str) -> None:
        """Show a message of a ``MessageType``."""
        if self._state.initialized:
            self._editor.write(encode({"method": "window/showMessage", "params": {"type": kind, "message": text}}))


def release(version: str) -> tuple[int, ...]:
    """A version for comparison: its numbers."""
    return tuple(map(int, re.findall(r"\d+", version)))
