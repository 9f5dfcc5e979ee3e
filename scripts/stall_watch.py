"""How long an event loop keeps a message waiting: a server to measure, and pings that it answers to itself.

Another process writes a ping into a pipe every few milliseconds: the time of its writing. The server's loop notes how
late it reads it. So a stall counts for each ping that waits, and one in which no thread of the server can run (a long
call that holds Python's global lock) counts too.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
import time
from pathlib import Path

PERIOD = 0.002
"""Seconds between two pings."""
_PING = struct.Struct("d")


def watch(pings: int, report: Path) -> None:
    """Note, on the running loop, how late each ping is read. The delays go to ``report`` when the pipe closes."""
    loop = asyncio.get_running_loop()
    os.set_blocking(pings, False)
    delays: list[tuple[float, float]] = []

    def read() -> None:
        data = os.read(pings, 1 << 16)
        now = time.monotonic()
        delays.extend((sent, now - sent) for (sent,) in _PING.iter_unpack(data[: len(data) // 8 * 8]))
        if not data:
            loop.remove_reader(pings)
            report.write_text(json.dumps(delays), encoding="utf-8")

    loop.add_reader(pings, read)


async def ping(pipe: int) -> None:
    """Write pings until cancelled."""
    try:
        while True:
            os.write(pipe, _PING.pack(time.monotonic()))
            await asyncio.sleep(PERIOD)
    finally:
        os.close(pipe)


def serve(pings: int, report: Path) -> int:
    """Serve one editor over stdin and stdout, watched."""
    from cato_lsp.lsp import server
    from cato_lsp.lsp.session import Session

    class Watched(Session):
        """A session that starts the watch with its connection."""

        def initialize(self, params: object) -> None:
            watch(pings, report)
            super().initialize(params)  # type: ignore[arg-type]

    server.Session = Watched  # type: ignore[misc]
    return server.run_stdio()


if __name__ == "__main__":
    sys.exit(serve(int(sys.argv[1]), Path(sys.argv[2])))
