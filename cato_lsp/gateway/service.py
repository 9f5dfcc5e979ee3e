"""The part that all network interfaces (laptops, OpenAI's clients) share: users, limits, and calls of the engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import anyio

from cato_lsp.engine.api import (
    Call,
    Engine,
    EngineError,
    EngineStats,
    EngineUnavailableError,
)
from cato_lsp.gateway.keys import KeyFileError, User
from cato_lsp.gateway.limits import Allowance, LimitError, Limits
from cato_lsp.gateway.metrics import Metrics
from cato_lsp.gateway.running import RunningCall
from cato_lsp.scheduling.cost import StepCosts

logger = logging.getLogger(__name__)

KEYS_CHECKED_EVERY = 1.0
"""Seconds between two checks of the key file."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model as clients see it."""

    name: str
    tokenizer: str
    """Hash of ``files``."""
    files: dict[str, str]
    contents: dict[str, bytes]
    context_length: int
    vocabulary: int
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """A replica of a fleet as operators see it."""

    address: str
    stats: EngineStats
    step_seconds: float = 0.0
    """How long its last steps took, on average: a slow replica is seen by it."""


@dataclass(frozen=True, slots=True)
class FleetView:
    """A fleet as operators see it."""

    replicas: Mapping[str, ReplicaView]
    """Those that take calls, by name."""
    wanted: int
    """How many there should be."""
    moved: int
    """Calls that went on elsewhere because their replica was lost, so far."""
    hedged: int
    """Calls that were sent to a second replica because theirs was silent, so far."""


class EngineSide(Protocol):
    """The engine behind the gateway. `HostedEngine` runs it in this process."""

    @property
    def engine(self) -> Engine:
        """The running engine.

        Raises:
            EngineUnavailableError: no engine is running; the message says why.
        """
        ...

    @property
    def model(self) -> ServedModel:
        """The model that is served.

        Raises:
            EngineUnavailableError: no model is loaded.
        """
        ...

    @property
    def fleet(self) -> FleetView | None:
        """The replicas, if the engine is a fleet."""
        ...


class Keys(Protocol):
    """Who may connect. `KeyFile` reads it from a file."""

    def reload(self) -> bool:
        """Read changes; return whether there were any.

        Raises:
            KeyFileError: they cannot be read.
        """
        ...

    def check(self, key: str) -> User | None:
        """Return the user with this key."""
        ...

    def holds(self, name: str) -> bool:
        """Whether the user has a valid key."""
        ...


class Service:
    """The gateway's state. Call all methods on the event loop."""

    def __init__(self, side: EngineSide, keys: Keys, limits: Limits) -> None:
        self.side = side
        self.metrics = Metrics(self.stats)
        self.draining = anyio.Event()
        """Set when the server stops: new calls are refused."""
        self.has_successor = False
        """Whether laptops whose connection is closed find another server at the same address."""
        self.running: set[RunningCall] = set()
        self._keys = keys
        self._limits = limits
        self._allowances: dict[str, Allowance] = {}
        self._revoked = anyio.Event()
        self._idle = anyio.Event()

    async def idle(self) -> None:
        """Wait until no call is running."""
        while self.running:
            await self._idle.wait()

    async def watch_keys(self) -> None:
        """Watch the key file until cancelled."""
        while True:
            await anyio.sleep(KEYS_CHECKED_EVERY)
            self.reload_keys()

    def reload_keys(self) -> None:
        """Read the key file again if it has changed, and abort the calls of users who have no key any more."""
        try:
            changed = self._keys.reload()
        except KeyFileError as error:
            logger.error("%s", error)
            return
        if changed:
            logger.info("The keys have changed")
            self._revoked.set()
            self._revoked = anyio.Event()
            for running in list(self.running):
                if not self._keys.holds(running.user.name):
                    running.stream.cancel()

    def user(self, authorization: str | None) -> User | None:
        """Return the user of an ``Authorization`` header; ``None`` if the key is unknown."""
        scheme, _, key = (authorization or "").partition(" ")
        return self._keys.check(key.strip()) if scheme.lower() == "bearer" else None

    async def revoked(self, user: User) -> None:
        """Wait until the user's key is revoked."""
        while self._keys.holds(user.name):
            await self._revoked.wait()

    def allowance(self, user: User) -> Allowance:
        """The user's calls and tokens in flight."""
        if user.name not in self._allowances:
            self._allowances[user.name] = Allowance(self._limits, time.monotonic)
        return self._allowances[user.name]

    @property
    def open_connections(self) -> int:
        """The number of open connections of all users."""
        return sum(each.connections for each in self._allowances.values())

    def too_many_connections(self, user: User) -> bool:
        """Whether the user has reached the limit of connections."""
        return self.allowance(user).connections >= self._limits.connections

    def submit(self, user: User, call: Call) -> RunningCall:
        """Queue a call without waiting. The caller uses it as a context manager.

        Raises:
            EngineError: the call exceeds a limit (`LimitError`), or the engine is not available.
        """
        allowance = self.allowance(user)
        try:
            if self.draining.is_set():
                raise EngineUnavailableError("The server is stopping.", "Try again in a moment.")
            engine = self.side.engine
            tokens = allowance.take(call, engine.stats())
        except EngineError as error:
            self.metrics.refused(error.limit if isinstance(error, LimitError) else "unavailable")
            raise

        def ended(running: RunningCall) -> None:
            self.running.discard(running)
            if not self.running:
                self._idle.set()
            allowance.give_back(tokens)
            self.metrics.ended(running)
            if running.limit is not None:
                self.metrics.refused(running.limit)

        running = RunningCall(user, call, engine.submit(call), ended)
        self.running.add(running)
        self._idle = anyio.Event()
        return running

    def hint(self, client: str, seconds: float) -> None:
        """Report that a user will be typing for ``seconds``."""
        try:
            self.side.engine.hint(client, time.monotonic() + seconds)
        except EngineError:
            logger.debug("Typing hint ignored: no engine is running")

    def stats(self) -> EngineStats:
        """The engine's counters; zeros if no engine is running."""
        try:
            return self.side.engine.stats()
        except EngineError:
            return EngineStats()

    def cost(self) -> StepCosts:
        """The learned cost of a step; default values if no engine is running."""
        try:
            return self.side.engine.cost()
        except EngineError:
            return StepCosts()
