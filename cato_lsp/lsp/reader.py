"""Reads the messages of one connection (LSP 3.18, "Base Protocol").

pygls has such a loop too, but it takes objects inside of a message for messages of their own, and writes a traceback
for each message that it cannot read.
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
    """Hand over message by message until the session ends or the stream does.

    Raises:
        asyncio.IncompleteReadError, ConnectionError: the stream broke.
        ValueError: a header cannot be right, so that nobody knows where the next message begins.
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
        # A client that sends many messages at once must not keep the event loop from everybody else.
        await asyncio.sleep(0)


async def _content_length(reader: AsyncReader) -> int | None:
    """Read a header; ``None`` at the end of the stream. Fields that are not understood are skipped."""
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
