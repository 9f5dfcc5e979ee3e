"""One engine of a fleet: a server for gateways only, in the cluster's private network."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable

import anyio
import anyio.to_thread

from cato_lsp.engine.api import EngineError
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.thread import EngineThread
from cato_lsp.fleet.offer import Offer
from cato_lsp.gateway.keys import User
from cato_lsp.gateway.limits import Limits
from cato_lsp.gateway.server import Gateway, ModelFiles, ServeOptions, open_port
from cato_lsp.gateway.service import ServedModel

UNLIMITED = Limits(calls=10**9, tokens=10**12, prompt=10**9, rate=1e9, connections=1000)
"""The limits of users are the gateway's."""
GATEWAY = User("gateway", cache_salt="", is_gateway=True)


class OneKey:
    """The key that gateways use. It is made anew at each start and never stored."""

    def __init__(self) -> None:
        self.key = secrets.token_urlsafe(32)

    def reload(self) -> bool:
        """Nothing changes."""
        return False

    def check(self, key: str) -> User | None:
        """Return the gateway's user."""
        return GATEWAY if hmac.compare_digest(key.encode(), self.key.encode()) else None

    def holds(self, name: str) -> bool:
        """Whether this is the gateway's user."""
        return name == GATEWAY.name


class _OneEngine:
    """The `EngineSide` of a replica."""

    def __init__(self, engine: EngineThread, files: ModelFiles) -> None:
        self.engine = engine
        self._files = files

    @property
    def model(self) -> ServedModel:
        """The loaded model."""
        return self._files.served(self.engine.context_length, forces_prefixes=self.engine.forces_prefixes)

    @property
    def fleet(self) -> None:
        """It is one engine."""


class Replica:
    """Serves one engine to gateways.

    :param name: unique in the fleet.
    :param host: address of this node in the cluster's private network.
    :param started: when its process was started, in seconds since the epoch.
    """

    def __init__(self, name: str, host: str, launch: Launch, started: float) -> None:
        self._name, self._host, self._launch, self._started = name, host, launch, started
        self._key = OneKey()
        self.ready = anyio.Event()
        """Set when calls are served."""
        self._gateway: Gateway | None = None
        self._offer: Offer | None = None

    @property
    def offer(self) -> Offer | None:
        """What gateways need to use it; ``None`` unless it takes calls."""
        draining = self._gateway is None or self._gateway.service.draining.is_set()
        return None if draining else self._offer

    async def run(self, on_stage: Callable[[str], None] = lambda _stage: None) -> None:
        """Load the model and serve until `stop`.

        Raises:
            EngineError: the engine could not start, or has died.
        """
        engine = EngineThread(self._launch, on_stage)
        files = await anyio.to_thread.run_sync(ModelFiles, self._launch)
        await engine.start()
        listener = open_port(self._host, 0)
        port = int(listener.getsockname()[1])
        options = ServeOptions(self._launch, keys=self._launch.model, host=self._host, port=port, limits=UNLIMITED)
        self._gateway = Gateway(options, self._key, _OneEngine(engine, files), listener)
        host = f"[{self._host}]" if ":" in self._host else self._host
        load = max(0.0, time.time() - self._started)
        self._offer = Offer(self._name, f"ws://{host}:{port}", self._key.key, engine.slots, engine.kv_tokens, load)
        error: EngineError | None = None

        async def until_closed() -> None:
            nonlocal error
            error = await engine.wait_closed()
            group.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(until_closed)
                self.ready.set()
                await self._gateway.run()
                group.cancel_scope.cancel()
        finally:
            self._offer = None
            engine.stop()
        if error is not None:
            raise error

    async def stop(self, grace: float) -> None:
        """Take no new calls, and wait at most ``grace`` seconds for running ones."""
        if self._gateway is not None:
            await self._gateway.stop(grace)
