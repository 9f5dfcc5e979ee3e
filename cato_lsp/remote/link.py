"""One connection to an engine server."""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from cato_lsp import __version__
from cato_lsp.engine.api import EngineError
from cato_lsp.remote.addresses import addresses
from cato_lsp.remote.messages import (
    MOST_SERVER_BYTES,
    PATH,
    PROTOCOL,
    SILENCE,
    BadMessageError,
    Fetch,
    FilePart,
    FromServer,
    Hello,
    Message,
    Ping,
    Welcome,
    encode,
    read_from_server,
)
from cato_lsp.remote.model_files import MOST_BYTES
from cato_lsp.remote.refusals import check_url, explain

OPEN_TIMEOUT = 5.0
"""Time limit for the connection to open, and for the response to `Hello`, in seconds."""
ADDRESS_TIMEOUT = 1.0
"""The same for one of several addresses to connect to: the next one is tried then."""
AGENT = f"cato-lsp/{__version__}"


class LinkLostError(Exception):
    """The connection has ended; ``cause`` says why."""

    def __init__(self, cause: EngineError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Link:
    """An open connection. `write` must run for anything to be sent."""

    def __init__(self, socket: ClientConnection, url: str, welcome: Welcome, silence: float = SILENCE) -> None:
        self.welcome = welcome
        self.round_trip = math.inf
        """The shortest round trip in seconds; infinite until one is measured."""
        self._socket = socket
        self._url = url
        self._silence = silence
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()

    @classmethod
    async def open(
        cls, url: str, key: str | None, tokenizer: str = "", *, private: bool = False, silence: float = SILENCE
    ) -> Link:
        """Connect and exchange `Hello` and `Welcome`.

        :param tokenizer: hash of the tokenizer that open calls use.
        :param private: the address is in the private network of a fleet, where encryption is optional.
        :param silence: seconds without a message after which the connection is lost.

        Raises:
            EngineError: it failed; the message says why. `EngineUnavailableError`: a later attempt may succeed.
        """
        if not private:
            check_url(url)
        try:
            with anyio.fail_after(OPEN_TIMEOUT):
                socket = await _reach(url, key)
                try:
                    await socket.send(encode(Hello(PROTOCOL, AGENT, tokenizer)))
                    welcome = _read(await socket.recv())
                except BaseException:
                    socket.transport.abort()
                    raise
        except (OSError, WebSocketException, TimeoutError, BadMessageError) as error:
            raise explain(error, url) from error
        if not isinstance(welcome, Welcome):
            socket.transport.abort()
            raise EngineError(f"{url} does not answer like a cato-lsp server.", "Check `engine.url`.")
        return cls(socket, url, welcome, silence)

    def send(self, message: Message) -> None:
        """Queue a message."""
        self._outbox.put_nowait(encode(message))

    async def write(self) -> None:
        """Send what is queued, until the connection ends.

        Raises:
            LinkLostError: it has ended.
        """
        try:
            while True:
                await self._socket.send(await self._outbox.get())
        except ConnectionClosed as error:
            raise LinkLostError(explain(error, self._url)) from error

    async def read(self) -> AsyncIterator[FromServer]:
        """Yield what the server sends.

        Raises:
            LinkLostError: the connection has ended, was silent for too long, or has sent an invalid message.
        """
        try:
            while True:
                async with asyncio.timeout(self._silence):
                    frame = await self._socket.recv()
                yield _read(frame)
        except (ConnectionClosed, TimeoutError, BadMessageError) as error:
            raise LinkLostError(explain(error, self._url)) from error

    async def fetch(self, files: Mapping[str, str]) -> dict[str, bytes]:
        """Download files. Only possible before the first call.

        Raises:
            EngineError: the connection ended, or the files are too large.
        """
        contents = {name: bytearray() for name in files}
        try:
            for name in files:
                await self._socket.send(encode(Fetch(name)))
                last = False
                while not last:
                    async with asyncio.timeout(SILENCE):
                        part = _read(await self._socket.recv())
                    if not isinstance(part, FilePart) or part.name != name:
                        raise EngineError(f"{self._url} sent no {name}.", "Upgrade the older side.")
                    contents[name] += part.data
                    last = part.last
                    if sum(map(len, contents.values())) > MOST_BYTES:
                        raise EngineError(f"The tokenizer at {self._url} is too large.", "Choose another model there.")
        except (ConnectionClosed, TimeoutError, BadMessageError) as error:
            raise explain(error, self._url) from error
        return {name: bytes(content) for name, content in contents.items()}

    def ping(self) -> None:
        """Measure the round trip; see `ponged`."""
        known = 1000 * self.round_trip if math.isfinite(self.round_trip) else 0.0
        self.send(Ping(time.monotonic(), known))

    def ponged(self, sent: float) -> None:
        """Process the response to a ping."""
        self.round_trip = min(self.round_trip, max(0.0, time.monotonic() - sent))

    async def close(self) -> None:
        """Close the connection with the closing handshake."""
        await self._socket.close()

    def abort(self) -> None:
        """Close the connection immediately."""
        self._socket.transport.abort()


async def _reach(url: str, key: str | None) -> ClientConnection:
    """Connect to the first of the server's addresses that answers."""
    *others, last = await addresses(url, key)
    for host in others:
        with suppress(OSError, WebSocketException), anyio.fail_after(ADDRESS_TIMEOUT):
            return await _connect(url, host, key)
    return await _connect(url, last, key)


async def _connect(url: str, host: str | None, key: str | None) -> ClientConnection:
    parts = urlsplit(url)
    directly: dict[str, Any] = {} if host is None else {"host": host}
    return await connect(
        f"{parts.scheme}://{parts.netloc}{PATH}",
        **directly,
        additional_headers={"Authorization": f"Bearer {key}"} if key else None,
        user_agent_header=AGENT,
        ssl=ssl.create_default_context() if parts.scheme == "wss" else None,
        # Prompts are token ids, and latency is what counts.
        compression=None,
        max_size=MOST_SERVER_BYTES,
        open_timeout=None,
        ping_interval=None,
        close_timeout=1,
    )


def _read(frame: str | bytes) -> FromServer:
    if isinstance(frame, str):
        raise BadMessageError("A text frame.")
    return read_from_server(frame)
