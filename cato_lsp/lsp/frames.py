"""Messages of the base protocol as bytes (LSP 3.18, "Base Protocol"), for processes that do not import pygls."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable
from typing import Any, Protocol, TypeAlias, cast

Message: TypeAlias = dict[str, Any]
"""A JSON-RPC message."""

_LENGTH = re.compile(rb"content-length\s*:\s*(\d{1,9})\s*", re.IGNORECASE)


class Reader(Protocol):
    """The methods of ``asyncio.StreamReader`` that are needed to read messages."""

    def readline(self) -> Awaitable[bytes]:
        """Read up to and including a line break; at the end of the stream, the remaining bytes."""
        ...

    def readexactly(self, n: int) -> Awaitable[bytes]:
        """Read ``n`` bytes."""
        ...


async def read_frame(reader: Reader) -> bytes | None:
    """Read the next message with its header, unchanged. ``None`` at the end of the stream, even inside a message."""
    header, length = b"", 0
    try:
        while line := await reader.readline():
            header += line
            if match := _LENGTH.fullmatch(line):
                length = int(match[1])
            if not line.strip():
                return header + (await reader.readexactly(length) if length else b"")
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):  # ValueError: a line of over 64 KiB
        return None
    return None


def decode(frame: bytes) -> Message:
    """The message in a frame; ``{}`` if the frame does not contain a JSON object."""
    try:
        message = json.loads(frame.partition(b"\r\n\r\n")[2])
    except ValueError:
        return {}
    return cast("Message", message) if isinstance(message, dict) else {}


def encode(message: Message) -> bytes:
    """A message as a frame; ``jsonrpc`` is added."""
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
