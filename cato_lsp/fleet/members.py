"""The replicas that a gateway is connected to."""

from __future__ import annotations

import logging
from functools import partial

import anyio
import anyio.abc

from cato_lsp.engine.api import EngineError, EngineUnavailableError
from cato_lsp.fleet.books import Capacity
from cato_lsp.fleet.engine import FleetEngine
from cato_lsp.fleet.link import ReplicaEngine
from cato_lsp.fleet.offer import Offer
from cato_lsp.fleet.prefixes import BLOCK
from cato_lsp.gateway.server import ModelFiles
from cato_lsp.gateway.service import FleetView, ReplicaView, ServedModel

logger = logging.getLogger(__name__)


class Members:
    """Connects to replicas that offer themselves. The `EngineSide` of a fleet's gateway.

    :param files: the model that the gateway announces to laptops. A replica with another one is left out.
    """

    def __init__(self, files: ModelFiles, engine: FleetEngine) -> None:
        self._files = files
        self._fleet = engine
        self._known: dict[str, ReplicaEngine] = {}
        """By name: every replica that is connected, or being connected."""
        self._refused: set[str] = set()
        self._group: anyio.abc.TaskGroup

    async def run(self) -> None:
        """Keep the connections until cancelled."""
        async with anyio.create_task_group() as self._group:
            self._group.start_soon(self._fleet.run)
            await anyio.sleep_forever()

    def offered(self, offer: Offer) -> None:
        """A replica has said that it takes calls. Connects to it unless that is done."""
        if offer.name not in self._known and offer.name not in self._refused:
            on_pong = partial(self._fleet.pong, offer.name)
            self._known[offer.name] = ReplicaEngine(offer, self._files.tokenizer, on_pong)
            self._group.start_soon(self._stay_connected, offer)

    @property
    def engine(self) -> FleetEngine:
        """The fleet. While it has no replica, calls wait for one."""
        return self._fleet

    @property
    def model(self) -> ServedModel:
        """The model, as all replicas together can serve it.

        Raises:
            EngineUnavailableError: no replica is connected.
        """
        up = [self._known[name] for name in self._fleet.replicas if name in self._known]
        if not up:
            raise EngineUnavailableError("No engine of the fleet is running.", "Try again in a moment.")
        shortest = min(each.context_length for each in up)
        return self._files.served(shortest, forces_prefixes=all(each.forces_prefixes for each in up))

    @property
    def fleet(self) -> FleetView:
        """The replicas that take calls, and what happens between them."""
        up = {name: self._known[name] for name in self._fleet.replicas if name in self._known}
        replicas = {name: ReplicaView(each.address, each.stats(), each.cost().recent_step) for name, each in up.items()}
        return FleetView(replicas, self._fleet.wanted(), self._fleet.moved, self._fleet.hedged)

    async def _stay_connected(self, offer: Offer) -> None:
        """Serve a replica's connection until it is lost."""
        link = self._known[offer.name]
        try:
            await link.start()
            logger.info("Replica %s has joined", offer.name)
            capacity = Capacity(offer.slots, offer.kv_tokens // BLOCK)
            self._fleet.add(
                offer.name,
                link,
                capacity,
                forces_prefixes=link.forces_prefixes,
                load_seconds=offer.load_seconds,
            )
            await self._until_lost(offer.name, link)
        except EngineUnavailableError as error:
            logger.warning("Replica %s cannot be reached: %s", offer.name, error)
        except EngineError as error:
            # Another model or protocol: that does not change while the replica lives.
            self._refused.add(offer.name)
            logger.error("Replica %s is left out: %s %s", offer.name, error, error.remedy)
        finally:
            self._fleet.remove(offer.name)
            link.stop()
            del self._known[offer.name]

    async def _until_lost(self, name: str, link: ReplicaEngine) -> None:
        """Keep the connection. A replica that stops gets no new calls, and has time for those that are running."""

        async def lost() -> None:
            error = await link.wait_closed()
            level = logging.INFO if link.leaving.is_set() else logging.WARNING
            logger.log(level, "Replica %s has left: %s", name, error)
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(lost)
            await link.leaving.wait()
            logger.info("Replica %s takes no more calls", name)
            self._fleet.remove(name)
            await anyio.sleep_forever()
