"""The two deployments on Ray Serve. Ray starts, checks, replaces, scales and upgrades them; calls do not pass it.

A gateway connects to each replica itself, with the messages of `cato_lsp.remote`. A `DeploymentHandle` would choose
the replica itself, needs 1.5 to 2 ms more for a first token, and cancels later. What Ray carries is the offer that each
replica repeats to all gateways.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable
from dataclasses import asdict
from typing import Any, cast

import anyio
import psutil

from cato_lsp.fleet.autoscaling import combined
from cato_lsp.fleet.gateway import FleetGateway
from cato_lsp.fleet.offer import Offer
from cato_lsp.fleet.ray_api import ray, serve
from cato_lsp.fleet.replica import Replica
from cato_lsp.fleet.settings import FleetSettings
from cato_lsp.supervise import supervise

logger = logging.getLogger(__name__)

OFFER_EVERY = 0.5
"""Seconds between the offers of a replica."""
ENGINE_GRACE = 80.0
"""Seconds that calls have to end on a replica that stops; what is left of them then goes on elsewhere."""
GATEWAY_GRACE = 20.0
"""Seconds that a gateway that stops waits for calls of OpenAI's clients."""
OVERHEAD = 10.0
"""Seconds more until Ray kills what stops."""


class _Service:
    """Runs one server in the background of a Serve replica."""

    def __init__(self) -> None:
        logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
        self.tasks: list[asyncio.Task[Any]] = []

    async def start(self, server: Awaitable[None], ready: anyio.Event) -> None:
        """Start a server; return once it is ready.

        Raises:
            Exception: what has ended the server before.
        """
        running = asyncio.ensure_future(server)
        self.tasks.append(running)
        waiting = asyncio.ensure_future(ready.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if running.done():
            await running

    async def check_health(self) -> None:
        """Called by Serve, which replaces this replica after an exception."""
        for task in self.tasks:
            if task.done():
                await task
                raise RuntimeError("The server has ended.")


def _own_address() -> str:
    """The address at which Ray listens on this node. `ray.util.get_node_ip_address` guesses another one."""
    own = ray.get_runtime_context().get_node_id()
    return next(str(node["NodeManagerAddress"]) for node in ray.nodes() if node["NodeID"] == own)


@serve.deployment(
    name="Engine",
    max_ongoing_requests=1000,
    health_check_period_s=2,
    graceful_shutdown_wait_loop_s=0.1,
    graceful_shutdown_timeout_s=ENGINE_GRACE + OVERHEAD,
)
class Engine(_Service):
    """One engine."""

    async def __init__(self, settings: FleetSettings) -> None:
        super().__init__()
        context = serve.get_replica_context()
        started = psutil.Process().create_time()
        self._replica = Replica(str(context.replica_tag), _own_address(), settings.launch, started)
        self._demand: dict[str, float] = {}
        self._gateways = serve.get_deployment_handle("Gateway", context.app_name)
        await self.start(self._replica.run(), self._replica.ready)
        self.tasks.append(asyncio.create_task(supervise("Offers", self._offer)))

    async def _offer(self) -> None:
        while True:
            if (offer := self._replica.offer) is not None:
                told = self._gateways.broadcast("offered", offer.to_map())
                try:
                    answers = await told.results_async(timeout_s=5, return_exceptions=True)
                    self._demand = combined(
                        cast("dict[str, float]", each) for each in answers if isinstance(each, dict) and each
                    )
                except TimeoutError:
                    logger.warning("A gateway does not answer")
            await asyncio.sleep(OFFER_EVERY)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Called by Serve, for `cato_lsp.fleet.autoscaling.policy`."""
        return self._demand

    async def __del__(self) -> None:
        """Called by Serve before it ends this replica."""
        await self._replica.stop(ENGINE_GRACE)


@serve.deployment(
    name="Gateway",
    max_ongoing_requests=1000,
    health_check_period_s=2,
    graceful_shutdown_wait_loop_s=0.1,
    graceful_shutdown_timeout_s=GATEWAY_GRACE + OVERHEAD,
    # The next gateway listens before the last one stops.
    max_surge_percent=100,
)
class GatewayDeployment(_Service):
    """One gateway.

    :param engines: makes the engines a part of the application.
    """

    async def __init__(self, settings: FleetSettings, engines: object) -> None:
        super().__init__()
        del engines
        self._gateway = FleetGateway(settings.serve_options, settings.scaler)
        await self.start(self._gateway.run(), self._gateway.listening)

    async def offered(self, offer: dict[str, Any]) -> dict[str, float]:
        """A replica takes calls. Returns the demand; see `cato_lsp.fleet.autoscaling`."""
        return self._gateway.offered(Offer.from_map(offer))

    async def view(self) -> dict[str, Any] | None:
        """The fields of a `FleetView`."""
        return asdict(seen) if (seen := self._gateway.view) is not None else None

    async def __del__(self) -> None:
        """Called by Serve before it ends this replica."""
        await self._gateway.stop(GATEWAY_GRACE)
