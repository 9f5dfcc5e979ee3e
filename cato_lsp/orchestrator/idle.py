"""Detects pauses in typing."""

from __future__ import annotations

from collections.abc import Callable

import anyio


class IdleWatch:
    """Calls ``rested`` once for each client that was active and has then been idle for a while.

    :param after: seconds without activity.
    """

    def __init__(self, clock: Callable[[], float], after: float, rested: Callable[[str], None]) -> None:
        self._clock = clock
        self._after = after
        self._rested = rested
        self._due: dict[str, float] = {}
        self._stirred = anyio.Event()

    def stir(self, client: str) -> None:
        """The client is active."""
        self._due[client] = self._clock() + self._after
        self._stirred.set()

    def forget(self, client: str) -> None:
        """The client has disconnected."""
        self._due.pop(client, None)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            while not self._due:
                self._stirred = anyio.Event()
                await self._stirred.wait()
            # All pauses have the same length, so a client that becomes active meanwhile is due after the first one.
            await anyio.sleep(max(0.0, min(self._due.values()) - self._clock()))
            now = self._clock()
            for client in [client for client, due in self._due.items() if due <= now]:
                del self._due[client]
                self._rested(client)
