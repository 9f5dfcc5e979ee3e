"""The death of the client, noticed even when something else keeps its pipe open."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import anyio
import psutil

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session

logger = logging.getLogger(__name__)

POLL = 2.0
"""Seconds between two looks where the system cannot tell of a process's end by itself."""


async def wait_for_exit(session: Session) -> None:
    """Wait until the process that ``initialize`` named has ended (LSP 3.18, ``processId``).

    A process that is not there from the start (another machine, another container) is not waited for.
    """
    await session.initialized.wait()
    process_id = session.process_id
    if process_id is None or not psutil.pid_exists(process_id):
        await anyio.sleep_forever()
        return
    try:
        handle = os.pidfd_open(process_id)
    except (AttributeError, OSError):
        while psutil.pid_exists(process_id):  # noqa: ASYNC110  there is no event to wait for
            await anyio.sleep(POLL)
    else:
        loop = asyncio.get_running_loop()
        ended = anyio.Event()
        loop.add_reader(handle, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
    logger.info("The client's process has ended")
