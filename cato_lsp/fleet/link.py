"""The gateway's end of a connection to one replica."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from cato_lsp.engine.api import Call, EngineError
from cato_lsp.fleet.offer import Offer
from cato_lsp.remote.calls import to_wire
from cato_lsp.remote.engine import RemoteEngine, RemoteLaunch
from cato_lsp.remote.link import Link
from cato_lsp.remote.messages import Draining, FromServer, Hint, Pong

PING_EVERY = 0.5
"""Seconds between pings: they carry the counters of an idle replica, and show that it is there."""
SILENCE = 4.0
"""Seconds without a message after which a replica counts as lost and its calls go on elsewhere."""


class ReplicaEngine(RemoteEngine):
    """The engine of a replica. `wait_closed` returns as soon as the connection is lost: calls can go on elsewhere.

    :param on_pong: is called when the replica has answered a ping.
    """

    def __init__(self, offer: Offer, tokenizer: str, on_pong: Callable[[], None]) -> None:
        super().__init__(RemoteLaunch(offer.url))
        self._offer = offer
        self._tokenizer = tokenizer
        self._on_pong = on_pong
        self.leaving = anyio.Event()
        """Set when the replica has said that it takes no new calls."""

    @property
    def address(self) -> str:
        """``HOST:PORT``."""
        return self._launch.name

    @property
    def forces_prefixes(self) -> bool:
        """Whether the replica holds answers to a `ForcedPrefix`; known once started."""
        return self._forces_prefixes

    async def start(self) -> None:
        """Connect.

        Raises:
            EngineError: it failed, or the replica has another model.
        """
        offer = self._offer
        self._use(await Link.open(offer.url, offer.key, self._tokenizer, private=True, silence=SILENCE))

    def hint(self, client: str, until: float) -> None:
        """Report that a user is typing."""
        left = until - time.monotonic()
        if self._link is not None and left > 0:
            self._link.send(Hint(1000 * left, client))

    def _take(self, link: Link, message: FromServer) -> None:
        super()._take(link, message)
        match message:
            case Draining():
                self.leaving.set()
            case Pong():
                self._on_pong()
            case _:
                pass

    async def _ping(self, link: Link) -> None:
        while True:
            link.ping()
            await anyio.sleep(PING_EVERY)

    async def _reconnect(self, why: EngineError) -> EngineError:
        return why

    def _send(self, number: int, call: Call) -> None:
        if self._link is None:
            return
        slot = self._slot(call) if call.forced_prefix is not None and self._forces_prefixes else None
        message = to_wire(number, call, time.monotonic(), slot)
        message.client, message.cache_salt = call.slo.client, call.cache_salt
        self._link.send(message)
