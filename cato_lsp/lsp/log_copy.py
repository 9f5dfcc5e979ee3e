"""Copies the shared server's log to the log of a window's process, so that it appears in the editor's own log."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread

POLL = 1.0
"""Seconds between two checks of the server's log."""
_EARLIER = 16_384
"""Bytes of an existing log that are copied at the start."""


class LogCopy:
    """Copies complete lines that the server appends to its log. Each new server replaces the file.

    It writes in worker threads, so an editor that does not read its end of stderr blocks nothing else.

    :param path: the server's log.
    :param target: file descriptor to write to.
    """

    def __init__(self, path: Path, target: int) -> None:
        self._path = path
        self._target = target
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()

    async def run(self) -> None:
        """Copy until cancelled, or until the target is closed."""
        try:
            while True:
                await anyio.to_thread.run_sync(self.copy, abandon_on_cancel=True)
                await anyio.sleep(POLL)
        except OSError:
            return

    def copy(self) -> None:
        """Copy the lines that were appended since the last call. Call it in a worker thread.

        Raises:
            OSError: the target is closed.
        """
        with self._lock:
            if self._file is not None:
                self._forward(self._file)
            new = self._open_if_replaced()
            if new is not None:
                if self._file is not None:
                    self._file.close()
                self._file = new
                self._forward(new)

    def _open_if_replaced(self) -> BinaryIO | None:
        try:
            new = self._path.open("rb")
        except OSError:
            return None
        size = os.fstat(new.fileno()).st_size
        if self._file is not None and os.path.sameopenfile(new.fileno(), self._file.fileno()):
            new.close()
            return None
        if size > _EARLIER:
            new.seek(size - _EARLIER)
            new.readline()
        return new

    def _forward(self, file: BinaryIO) -> None:
        start = file.tell()
        data = file.read()
        lines = data[: data.rfind(b"\n") + 1]
        file.seek(start + len(lines))
        while lines:
            lines = lines[os.write(self._target, lines) :]
