"""Random and malformed messages: each request is answered once, and the log stays short.

``CATO_FAULTS=full`` sends 20,000 of them.
"""

from __future__ import annotations

import logging
import os
from collections import Counter

import anyio
import pytest

from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.server import listen
from tests.faults.hostile import messages
from tests.lsp.wire import Wire

pytestmark = pytest.mark.anyio

COUNT = 20_000 if os.environ.get("CATO_FAULTS") == "full" else 2_000
AT_ONCE = 50
"""Messages that are sent before their answers are read."""


async def test_hostile_messages_are_each_answered_once_and_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """No engine runs: whatever is asked of it is answered as unavailable."""
    caplog.set_level(logging.INFO)
    async with await listen(Backend(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        hostile, other = await Wire.connect(port), await Wire.connect(port)
        for wire in (hostile, other):
            await wire.initialize()
            await wire.status()
        caplog.clear()
        expected: list[int] = []
        sent = list(messages(seed=11, count=COUNT))
        for start in range(0, COUNT, AT_ONCE):
            for data, number in sent[start : start + AT_ONCE]:
                hostile.send_bytes(data)
                expected += [number] if number is not None else []
            await hostile.status()
        with anyio.fail_after(60):
            while (answers := answered(hostile)).total() < len(expected):
                await hostile.status()
        assert answers == Counter(expected)
        assert (await other.status())["live"] == 0
        records = [record for record in caplog.records if record.levelno >= logging.WARNING]
        for wire in (hostile, other):
            wire.close()
    lines = [record.getMessage() for record in records]
    assert len(lines) <= COUNT
    assert [line for line in lines if "\n" in line or len(line) > 200] == []
    assert not [record for record in records if record.exc_info]


def answered(wire: Wire) -> Counter[int]:
    """How often each request was answered. Those of the test itself are not kept by `Wire`."""
    return Counter(
        message["id"] for message in wire.heard if "method" not in message and isinstance(message.get("id"), int)
    )
