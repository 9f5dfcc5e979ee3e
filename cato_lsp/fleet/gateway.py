"""The gateway of a fleet: the server of `cato-lsp serve`, whose engine is the fleet."""

from __future__ import annotations

import anyio
import anyio.to_thread

from cato_lsp.fleet.autoscaling import UP, WANTED
from cato_lsp.fleet.engine import FleetEngine
from cato_lsp.fleet.members import Members
from cato_lsp.fleet.metrics import FleetCollector
from cato_lsp.fleet.offer import Offer
from cato_lsp.fleet.scaling import Scaler
from cato_lsp.gateway.keys import KeyFile
from cato_lsp.gateway.server import Gateway, ModelFiles, ServeOptions, check_exposure, open_port
from cato_lsp.gateway.service import FleetView

HAND_OVER = 2.0
"""Seconds for which a gateway that stops goes on: the next one listens already, but has to be told of the replicas."""


class FleetGateway:
    """Listens for laptops itself, not behind a proxy, which would cost each token several milliseconds.

    :param scaler: decides how many replicas there should be; ``None``: their number is fixed.
    """

    def __init__(self, options: ServeOptions, scaler: Scaler | None = None) -> None:
        self._options = options
        self._scaler = scaler
        self.listening = anyio.Event()
        """Set when laptops can connect. There may be no replica yet."""
        self._members: Members | None = None
        self._gateway: Gateway | None = None

    async def run(self) -> None:
        """Serve until `stop`.

        Raises:
            RefusedError: the configuration is not safe, or the port cannot be opened.
            KeyFileError: the keys cannot be read.
            EngineError: the model's files cannot be used.
        """
        options = self._options
        check_exposure(options)
        keys = KeyFile(options.keys)
        keys.reload()
        files = await anyio.to_thread.run_sync(ModelFiles, options.launch)
        members = self._members = Members(files, FleetEngine(scaler=self._scaler))
        # The gateway before this one may still hold the port.
        listener = open_port(options.host, options.port, shared=True)
        gateway = self._gateway = Gateway(options, keys, members, listener)
        gateway.service.metrics.register(FleetCollector(members))

        async def serve() -> None:
            await gateway.run()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(members.run)
            group.start_soon(serve)
            await gateway.listening.wait()
            self.listening.set()

    def offered(self, offer: Offer) -> dict[str, float]:
        """A replica has said that it takes calls. Returns how many are up and wanted; nothing if that is not known."""
        if self._members is None or not self.listening.is_set():
            return {}
        self._members.offered(offer)
        fleet = self._members.engine
        return {UP: len(fleet.replicas), WANTED: fleet.wanted()} if fleet.replicas else {}

    @property
    def view(self) -> FleetView | None:
        """The fleet, once it is listening."""
        return self._members.fleet if self._members is not None else None

    async def stop(self, grace: float) -> None:
        """Close the connections of laptops, which then connect to the next gateway, and go on with their calls there.

        :param grace: seconds that calls of OpenAI's clients have to end, as they cannot move.
        """
        if self._gateway is not None:
            if self._gateway.service.open_connections:
                await anyio.sleep(HAND_OVER)
            self._gateway.stop_listening()
            self._gateway.service.has_successor = True
            await self._gateway.stop(grace)
