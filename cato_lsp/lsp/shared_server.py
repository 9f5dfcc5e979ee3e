"""The shared server: it serves every window that hands its pipes over, with one engine (see `handover`)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import socket
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import anyio
from anyio.abc import TaskGroup, UNIXSocketStream

from cato_lsp.config import Layer
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.pipes import open_pipes
from cato_lsp.lsp.server import serve_connection
from cato_lsp.lsp.session import Session
from cato_lsp.lsp.shared_client import STOP, locked
from cato_lsp.lsp.status_socket import serve_status
from cato_lsp.supervise import supervise, traceback_of

logger = logging.getLogger(__name__)

LINGER = 60.0
"""Seconds that the server stays, model loaded, after the last window has gone: long enough to reload a window."""
_TURN = 0.01
"""Seconds between two looks whether the socket can be taken away, when the server was told to stop."""
_LAST_WORDS = 5.0
"""Seconds that windows have to end when the server was told to stop."""
_LONGEST_GREETING = 65536


def run_shared(listener: int) -> None:
    """Serve the windows that connect to the listening socket of this descriptor, until none is left."""

    async def serve() -> None:
        backend = Backend()
        async with anyio.create_task_group() as group:
            group.start_soon(backend.run)
            group.start_soon(supervise, "The status socket", partial(serve_status, backend))
            await Windows(backend, socket.socket(fileno=listener)).serve()
            group.cancel_scope.cancel()

    anyio.run(serve)


class Windows:
    """The windows that connect to one listening socket."""

    def __init__(self, backend: Backend, listener: socket.socket, linger: float = LINGER) -> None:
        listener.setblocking(False)
        self._backend = backend
        self._listener = listener
        self._path = Path(listener.getsockname())
        self._linger = linger
        self._open = 0
        self._changed = anyio.Event()
        self._sessions: set[Session] = set()
        self._told_to_stop = False
        self._ending = anyio.Event()

    async def serve(self) -> None:
        """Serve until there has been no window for a while, or somebody says stop; the socket is gone then."""
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
        self._changed.set()
        self._changed = anyio.Event()

    async def _over(self) -> bool:
        """Wait for a change or for long enough without a window; whether the server may end.

        Who has connected by then is a window like the others, and who comes later finds no server.
        """
        with anyio.move_on_after(_TURN if self._told_to_stop else None if self._open else self._linger):
            await self._changed.wait()
            return False
        try:
            with locked(self._path, wait=False):
                deserted = self._told_to_stop or not self._open
                if not deserted or select.select([self._listener], [], [], 0)[0]:
                    return False
                self._path.unlink(missing_ok=True)
                return True
        except BlockingIOError:
            return False

    async def _serve_window(self, connection: socket.socket) -> None:
        try:
            async with await UNIXSocketStream.from_socket(connection) as stream:
                greeting, descriptors = await stream.receive_fds(_LONGEST_GREETING, 2)
                if greeting == STOP:
                    await self._stop(stream)
                else:
                    await self._serve_editor(stream, greeting, descriptors)
        except Exception as error:  # whatever happens to one window, the others live on
            logger.warning("A window was lost\n%s", traceback_of(error))
        finally:
            self._count(-1)

    async def _stop(self, stream: UNIXSocketStream) -> None:
        logger.info("Told to stop, with %d windows open", len(self._sessions))
        await stream.send(json.dumps({"pid": os.getpid(), "windows": len(self._sessions)}).encode())
        self._told_to_stop = True

    async def _serve_editor(self, stream: UNIXSocketStream, greeting: bytes, descriptors: list[int]) -> None:
        pipes = [os.fdopen(fd, mode, buffering=0) for fd, mode in zip(descriptors, ("rb", "wb"), strict=True)]
        stdin, stdout = cast("list[BinaryIO]", pipes)
        session = Session(self._backend, Layer("command line", json.loads(greeting)))
        self._sessions.add(session)
        try:
            await self._serve_pipes(session, stream, stdin, stdout)
            await stream.send(bytes([session.exit_code]))
        finally:
            self._sessions.discard(session)

    async def _serve_pipes(self, session: Session, stream: UNIXSocketStream, stdin: BinaryIO, stdout: BinaryIO) -> None:
        async with anyio.create_task_group() as group, open_pipes(stdin, stdout) as (reader, writer):

            async def end_with_process() -> None:
                async for _ in stream:
                    pass
                group.cancel_scope.cancel()

            async def end_with_server() -> None:
                await self._ending.wait()
                await session.stop("The server that all windows share was ended with `cato-lsp stop`.")
                group.cancel_scope.cancel()

            group.start_soon(end_with_process)
            group.start_soon(end_with_server)
            await serve_connection(session, reader, writer)
            group.cancel_scope.cancel()
