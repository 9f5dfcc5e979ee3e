"""Detects the end of the client's process, also if another process keeps its pipe open (LSP 3.18, ``processId``)."""

from __future__ import annotations

import asyncio
import os

import anyio
import psutil

POLL = 2.0
"""Seconds between two checks on systems that do not report the end of a process."""


class ClientProcess:
    """The process named in ``initialize``. Create it while that request is read, so that its end is not missed."""

    def __init__(self, process_id: int | None) -> None:
        """Open the process. A process that does not exist here (another machine or container) never ends."""
        self._process_id = process_id if process_id is not None and psutil.pid_exists(process_id) else None
        self._handle: int | None = None
        if self._process_id is not None and hasattr(os, "pidfd_open"):
            try:
                self._handle = os.pidfd_open(self._process_id)
            except OSError:
                self._process_id = None

    async def ended(self) -> None:
        """Wait for its end."""
        if self._process_id is None:
            await anyio.sleep_forever()
        elif self._handle is None:
            while psutil.pid_exists(self._process_id):  # noqa: ASYNC110  there is no event to wait for
                await anyio.sleep(POLL)
        else:
            await self._readable(self._handle)

    async def _readable(self, handle: int) -> None:
        loop = asyncio.get_running_loop()
        ended = anyio.Event()
        loop.add_reader(handle, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
