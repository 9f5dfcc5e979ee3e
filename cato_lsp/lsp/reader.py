"""Reads the messages of one connection (LSP 3.18, "Base Protocol").

pygls's own loop treats objects inside a message as separate messages, and logs a traceback for each message that it
cannot read.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygls.io_ import AsyncReader

    from cato_lsp.lsp.protocol import SessionProtocol

LONGEST_MESSAGE = 1 << 28
"""Bytes."""


async def read_messages(reader: AsyncReader, protocol: SessionProtocol) -> None:
    """Pass each message to the protocol until the session or the stream ends.

    Raises:
        asyncio.IncompleteReadError, ConnectionError: the stream broke.
        ValueError: a header is invalid, so the start of the next message is unknown.
    """
    while not protocol.session.ended.is_set():
        length = await _content_length(reader)
        if length is None:
            return
        body = await reader.readexactly(length)
        try:
            message: object = json.loads(body)
        except (ValueError, RecursionError) as error:
            protocol.refuse_message(f"The message could not be read: {type(error).__name__}.")
        else:
            protocol.receive(message)
        # A client that sends many messages at once must not block the event loop for others.
        await asyncio.sleep(0)


async def _content_length(reader: AsyncReader) -> int | None:
    """Read a header and return the length of the content; ``None`` at the end of the stream. Skips unknown fields."""
    length: int | None = None
    while line := await reader.readline():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
            if not 0 <= length <= LONGEST_MESSAGE:
                raise ValueError("Content-Length is out of range")
        elif not line.strip() and length is not None:
            return length
    return None
