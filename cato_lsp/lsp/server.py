"""Transports: stdio for editors, TCP for debugging. Each connection gets a `Session`; all share one `Backend`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO

import anyio
from pygls.io_ import run_async

from cato_lsp.config import Layer
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.features import register_features
from cato_lsp.lsp.process import wait_for_exit
from cato_lsp.lsp.session import Session

logger = logging.getLogger(__name__)


def run_stdio(overrides: Layer | None = None) -> int:
    """Serve one editor over stdin and stdout until it leaves; return the exit code.

    The code is 0 after ``shutdown`` and ``exit``, 1 when the client went without them.
    """
    stdin, stdout = _claim_stdio()

    async def serve() -> int:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stdin)
        transport, protocol = await loop.connect_write_pipe(_WriteProtocol, stdout)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        backend = Backend()
        async with anyio.create_task_group() as group:
            group.start_soon(backend.run)
            exit_code = await serve_connection(Session(backend, overrides), reader, writer)
            group.cancel_scope.cancel()
        return exit_code

    return anyio.run(serve)


def run_tcp(host: str, port: int, overrides: Layer | None = None) -> None:
    """Serve any number of editors on a socket, until interrupted. For debugging: there is no authentication."""

    async def serve() -> None:
        backend = Backend()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve_connection(Session(backend, overrides), reader, writer)

        async with anyio.create_task_group() as group:
            group.start_soon(backend.run)
            server = await asyncio.start_server(connected, host, port)
            logger.info("Listening on %s", ", ".join(str(s.getsockname()) for s in server.sockets))
            async with server:
                await server.serve_forever()

    anyio.run(serve)


async def serve_connection(
    session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> int:
    """Run one session until ``exit``, the end of its stream or the death of its client; return the exit code."""
    protocol = session.server.protocol
    protocol.set_writer(_NonBlockingWriter(writer))
    register_features(session)

    async def read() -> None:
        try:
            await run_async(
                session.ended,
                reader,
                protocol,
                logger=logger,
                error_handler=lambda error, _source: protocol.refuse_message(f"{type(error).__name__}"),
            )
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            logger.warning("The connection broke: %s", type(error).__name__)

    try:
        async with anyio.create_task_group() as group:

            async def until(ends: Callable[[], Awaitable[object]]) -> None:
                await ends()
                group.cancel_scope.cancel()

            group.start_soon(until, read)
            group.start_soon(until, lambda: wait_for_exit(session))
    finally:
        session.end(exit_code=1)
        with anyio.move_on_after(0.2, shield=True):
            await _flush(writer)
        writer.close()
    return session.exit_code


async def _flush(writer: asyncio.StreamWriter) -> None:
    try:
        await writer.drain()
    except ConnectionError:
        logger.debug("The client went before its last answer")


class _NonBlockingWriter:
    """Writes without waiting: a client that reads slowly holds up nobody."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def write(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    def close(self) -> None:
        self._writer.close()


class _WriteProtocol(asyncio.streams.FlowControlMixin):
    async def _get_close_waiter(self, _stream: Any) -> None:
        return None


def _claim_stdio() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the protocol; whatever else prints goes to stderr."""
    sys.stdout.flush()
    stdin, stdout = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return os.fdopen(stdin, "rb", buffering=0), os.fdopen(stdout, "wb", buffering=0)
