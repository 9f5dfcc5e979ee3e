"""The shared server: it serves all windows of a user with one engine (see `shared_client`)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import socket
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from cato_lsp import __version__
from cato_lsp.config import Layer
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.frames import Reader, encode
from cato_lsp.lsp.pipes import StreamWriter
from cato_lsp.lsp.server import finish, serve_session
from cato_lsp.lsp.session import Session
from cato_lsp.lsp.shared_client import GOODBYE, HELLO, release
from cato_lsp.lsp.shared_socket import STOP, locked
from cato_lsp.lsp.status_socket import serve_status
from cato_lsp.supervise import supervise, traceback_of

logger = logging.getLogger(__name__)

LINGER = 60.0
"""Seconds that the server keeps running after the last window has closed: long enough to reload a window."""
_TURN = 0.01
"""Seconds between two attempts to remove the socket when the server is to stop."""
_LAST_WORDS = 5.0
"""Seconds that windows have to end their sessions when the server stops."""


def run_shared(listener: int) -> None:
    """Serve the windows that connect to the listening socket of this descriptor, until no window is left."""

    async def serve() -> None:
        backend = Backend()
        async with anyio.create_task_group() as group:
            group.start_soon(backend.run)
            group.start_soon(supervise, "The status socket", partial(serve_status, backend))
            await Windows(backend, socket.socket(fileno=listener)).serve()
            group.cancel_scope.cancel()
        await backend.host.wait_closed()

    anyio.run(serve)


class Windows:
    """The windows that connect to one listening socket."""

    def __init__(
        self, backend: Backend, listener: socket.socket, linger: float = LINGER, version: str = __version__
    ) -> None:
        listener.setblocking(False)
        listener.set_inheritable(False)
        self._backend = backend
        self._listener = listener
        self._path = Path(listener.getsockname())
        self._linger = linger
        self._open = 0
        self._changed = anyio.Event()
        self._version = version
        self._sessions: dict[Session, tuple[int, ...]] = {}
        """The sessions, each with the version of its window."""
        self._told_to_stop = False
        self._gave_way = False
        self._ending = anyio.Event()

    async def serve(self) -> None:
        """Serve until no window was open for `LINGER` seconds, or `STOP` was received. Removes the socket."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._accept, group)
            while not await self._over():
                pass
            self._ending.set()
            with anyio.move_on_after(_LAST_WORDS):
                while self._sessions:
                    await self._changed.wait()
            group.cancel_scope.cancel()
        self._listener.close()

    async def _accept(self, group: TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            self._count(+1)
            group.start_soon(self._serve_window, connection)

    def _count(self, change: int) -> None:
        self._open += change
        self._changes()

    def _changes(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    @property
    def _only_newer_windows(self) -> bool:
        """Whether all open windows have a newer version than this server."""
        own = release(self._version)
        known = len(self._sessions) == self._open > 0
        return known and all(own < version for version in self._sessions.values())

    async def _over(self) -> bool:
        """Wait for a change, or for the time limit without a window. Returns whether the server ends.

        A window that has connected before the socket is removed is served. A later one finds no server and starts one.
        """
        leaves = self._told_to_stop or self._only_newer_windows
        with anyio.move_on_after(_TURN if leaves else None if self._open else self._linger):
            await self._changed.wait()
            return False
        try:
            with locked(self._path, wait=False):
                gives_way = self._only_newer_windows and not self._told_to_stop
                deserted = self._told_to_stop or gives_way or not self._open
                if not deserted or select.select([self._listener], [], [], 0)[0]:
                    return False
                self._path.unlink(missing_ok=True)
                self._gave_way = gives_way
                return True
        except BlockingIOError:
            return False

    async def _serve_window(self, connection: socket.socket) -> None:
        try:
            reader, stream = await asyncio.open_unix_connection(sock=connection)
            writer = StreamWriter(stream)
            try:
                greeting = json.loads(await reader.readline())
                if greeting == STOP:
                    self._stop(writer)
                else:
                    await self._serve_editor(greeting, reader, writer)
            finally:
                await finish(writer)
        except Exception as error:  # an error in one window must not affect the others
            logger.warning("A window was lost\n%s", traceback_of(error))
        finally:
            self._count(-1)

    def _stop(self, writer: StreamWriter) -> None:
        logger.info("Stopping on request, with %d windows open", len(self._sessions))
        writer.write(json.dumps({"pid": os.getpid(), "windows": len(self._sessions)}).encode())
        self._told_to_stop = True

    async def _serve_editor(self, greeting: dict[str, Any], reader: Reader, writer: StreamWriter) -> None:
        overrides = {name: greeting.get(name) for name in ("model", "log_level")}
        session = Session(self._backend, Layer("command line", overrides))
        writer.write(encode({"method": HELLO, "params": {"version": self._version, "pid": os.getpid()}}))
        self._sessions[session] = release(greeting["version"])
        self._changes()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._end_with_server, session, group.cancel_scope)
                await serve_session(session, reader, writer)
                group.cancel_scope.cancel()
        finally:
            del self._sessions[session]
            code = None if self._gave_way else session.exit_code
            writer.write(encode({"method": GOODBYE, "params": {"exitCode": code}}))

    async def _end_with_server(self, session: Session, scope: anyio.CancelScope) -> None:
        await self._ending.wait()
        await session.stop(None if self._gave_way else "The shared server was stopped with `cato-lsp stop`.")
        scope.cancel()
