"""An editor's pipes as asyncio streams."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO, Protocol

from cato_lsp.lsp.frames import Reader

logger = logging.getLogger(__name__)


class Writer(Protocol):
    """The interface that pygls needs of a stream."""

    def write(self, data: bytes) -> None:
        """Write all of ``data``."""
        ...

    def close(self) -> None:
        """Close the stream after all data is written."""
        ...


class StreamWriter:
    """Writes without waiting, so that a slow reader does not block others."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Append ``data`` to the send buffer. Does nothing if the client has disconnected."""
        if not self._stream.is_closing():
            self._stream.write(data)

    def end(self) -> None:
        """Close the sending side; reading continues."""
        if not self._stream.is_closing() and self._stream.can_write_eof():
            self._stream.write_eof()

    def close(self) -> None:
        """Close the stream after all data is written."""
        self._stream.close()

    async def finish(self) -> None:
        """Close the stream and wait until all data is written."""
        self._stream.close()
        try:
            await self._stream.wait_closed()
        except ConnectionError:
            logger.debug("The client disconnected before its last response")


@asynccontextmanager
async def open_pipes(stdin: BinaryIO, stdout: BinaryIO) -> AsyncGenerator[tuple[Reader, Writer]]:
    """Open pipes, sockets, terminals or regular files as streams. Both are closed when the context is left."""
    with stdin, stdout:
        transport, reader = await _reader(stdin)
        try:
            yield reader, await _writer(stdout)
        finally:
            if transport is not None:
                transport.close()


class _PipeProtocol(asyncio.streams.FlowControlMixin):
    """Lets a `StreamWriter` write to a pipe and wait for its end."""

    def __init__(self) -> None:
        super().__init__()
        self._closed = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self._closed.done():
            self._closed.set_result(None)

    def _get_close_waiter(self, _stream: Any) -> asyncio.Future[None]:
        return self._closed


async def _reader(stdin: BinaryIO) -> tuple[asyncio.BaseTransport | None, Reader]:
    """A reader on the event loop, or on a thread for what the loop cannot watch: regular files and ``/dev/null``."""
    mode = os.fstat(stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stdin.isatty()):
        from pygls.io_ import StdinAsyncReader

        return None, StdinAsyncReader(stdin)
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), stdin
    )
    return transport, reader


async def _writer(stdout: BinaryIO) -> Writer:
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.connect_write_pipe(_PipeProtocol, stdout)
    except ValueError:  # a regular file
        from pygls.io_ import StdoutWriter

        return StdoutWriter(stdout)
    return StreamWriter(asyncio.StreamWriter(transport, protocol, None, loop))
