"""Transports: stdio for editors, TCP for debugging. Each connection gets a `Session`; all share one `Backend`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import anyio

from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.features import register_features
from cato_lsp.lsp.frames import Reader
from cato_lsp.lsp.pipes import StreamWriter, Writer, open_pipes
from cato_lsp.lsp.reader import read_messages
from cato_lsp.lsp.session import Session
from cato_lsp.lsp.status_socket import serve_status
from cato_lsp.supervise import supervise

if TYPE_CHECKING:
    from cato_lsp.config import Layer

logger = logging.getLogger(__name__)

LAST_WORDS = 0.2
"""Seconds that a client has to read the remaining data when its session ends."""


def run_stdio(overrides: Layer | None = None) -> int:
    """Serve one editor over stdin and stdout until it disconnects; return the exit code.

    The code is 0 after ``shutdown`` and ``exit``, else 1.
    """
    stdin, stdout = _claim_stdio()

    async def serve() -> int:
        backend = Backend()
        session = Session(backend, overrides)
        async with anyio.create_task_group() as group:
            group.start_soon(backend.run)
            group.start_soon(supervise, "The status socket", partial(serve_status, backend))
            async with open_pipes(stdin, stdout) as (reader, writer):
                await serve_connection(session, reader, writer)
            group.cancel_scope.cancel()
        return session.exit_code

    return anyio.run(serve)


def run_tcp(host: str, port: int, overrides: Layer | None = None) -> None:
    """Serve editors on a TCP socket until interrupted. For debugging: there is no authentication."""

    async def serve() -> None:
        backend = Backend()
        async with anyio.create_task_group() as group:
            group.start_soon(backend.run)
            group.start_soon(supervise, "The status socket", partial(serve_status, backend))
            async with await listen(backend, host, port, overrides) as server:
                addresses = ", ".join("{}:{}".format(*socket.getsockname()) for socket in server.sockets)
                logger.warning("Listening on %s", addresses)
                await server.serve_forever()

    anyio.run(serve)


async def listen(backend: Backend, host: str, port: int, overrides: Layer | None = None) -> asyncio.Server:
    """Accept connections and start a session for each."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_connection(Session(backend, overrides), reader, StreamWriter(writer))

    return await asyncio.start_server(connected, host, port)


async def serve_connection(session: Session, reader: Reader, writer: Writer) -> None:
    """Run one session until ``exit``, the end of its stream or the death of its client; close the writer."""
    try:
        await serve_session(session, reader, writer)
    finally:
        await finish(writer)


async def finish(writer: Writer) -> None:
    """Close a client's stream, and give it `LAST_WORDS` seconds to read the remaining data."""
    if isinstance(writer, StreamWriter):
        with anyio.move_on_after(LAST_WORDS, shield=True):
            await writer.finish()


async def serve_session(session: Session, reader: Reader, writer: Writer) -> None:
    """Run one session until ``exit``, the end of its stream or the death of its client."""
    protocol = session.protocol
    protocol.set_writer(writer)
    register_features(session)

    async def read() -> None:
        try:
            await read_messages(reader, protocol)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            logger.warning("The connection broke: %s", type(error).__name__)

    try:
        async with anyio.create_task_group() as group:
            session.group = group

            async def until(ends: Callable[[], Awaitable[object]]) -> None:
                await ends()
                group.cancel_scope.cancel()

            group.start_soon(until, read)
            group.start_soon(until, session.abandoned)
    finally:
        session.end(exit_code=1)


def _claim_stdio() -> tuple[BinaryIO, BinaryIO]:
    """Reserve stdin and stdout for the protocol; all other output goes to stderr."""
    sys.stdout.flush()
    stdin, stdout = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb", buffering=0)
