"""Keeps one engine running: starts it, reports its status, restarts it after a failure or a change of settings."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import anyio

from cato_lsp.engine.api import Engine, EngineError, EngineUnavailableError
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.model_folder import ModelFolder
from cato_lsp.engine.thread import EngineThread
from cato_lsp.supervise import FIRST_BACK_OFF, LONGEST_BACK_OFF, traceback_of

logger = logging.getLogger(__name__)

LONGEST_RECONNECT = 5.0
"""Seconds between two tries to reach a server, at most: to ask costs little."""
STOP_SECONDS = 5.0
"""Longest wait for an engine to close: the step at hand, and freeing the model."""


class EnginePhase(Enum):
    """The phase of the engine."""

    IDLE = "idle"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The engine's status as the user sees it."""

    phase: EnginePhase = EnginePhase.IDLE
    message: str = ""
    remedy: str = ""


class RunningEngine(Engine, Protocol):
    """An engine with a life: on a thread of this process, or on a server."""

    @property
    def folder(self) -> ModelFolder:
        """The model's files that prompts are written with; known once started."""
        ...

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer together that one call may have; known once started."""
        ...

    async def start(self) -> None:
        """Return when calls can be served.

        Raises:
            EngineError: they cannot be.
        """
        ...

    async def wait_closed(self) -> EngineError | None:
        """Wait for the end; return what ended it, ``None`` after `stop`."""
        ...

    def stop(self) -> None:
        """End it; open calls fail."""
        ...


class RemoteSource(Protocol):
    """A server to connect to: what a `RunningEngine` is made of where it is not a `Launch`."""

    @property
    def name(self) -> str:
        """What the server is called in the status."""
        ...

    @property
    def fallback(self) -> Launch | None:
        """What serves here while the server is away, if anything can."""
        ...

    def connect(self, on_stage: Callable[[str], None]) -> RunningEngine:
        """Make the engine's near end; nothing is sent before it is started."""
        ...


class EngineHost:
    """The one engine of this process, for all sessions."""

    def __init__(self) -> None:
        self.status = EngineStatus()
        self._launch: Launch | RemoteSource | None = None
        self._changed = anyio.Event()
        self._engine: RunningEngine | None = None
        self._last: RunningEngine | None = None
        """The engine that runs, or the last one, which may still be closing."""
        self._watchers: list[Callable[[EngineStatus], None]] = []

    @property
    def engine(self) -> RunningEngine:
        """The running engine.

        Raises:
            EngineUnavailableError: it is not running; the message says why.
        """
        if self._engine is None:
            raise EngineUnavailableError(self.status.message or "No engine was started.", self.status.remedy)
        return self._engine

    @property
    def launch(self) -> Launch | RemoteSource | None:
        """The parameters of the running engine, or of the last one."""
        return self._launch

    def watch(self, watcher: Callable[[EngineStatus], None]) -> Callable[[], None]:
        """Call ``watcher`` with the status, now and at every change. Returns a function that ends this."""
        self._watchers.append(watcher)
        watcher(self.status)
        return lambda: self._watchers.remove(watcher)

    def configure(self, launch: Launch | RemoteSource) -> None:
        """Run the engine with ``launch``. Restarts it if ``launch`` differs; retries at once after a failure.

        The engine that is replaced takes no more calls from now on.
        """
        if launch != self._launch or self.status.phase is EnginePhase.FAILED:
            self._launch = launch
            self._changed.set()
            self._retire()

    def refuse(self, error: EngineError) -> None:
        """Report that nothing can be started. A running engine keeps running."""
        if self._engine is None:
            self._tell(EngineStatus(EnginePhase.FAILED, str(error), error.remedy))

    async def run(self) -> None:
        """Serve until cancelled."""
        back_off = FIRST_BACK_OFF
        try:
            while True:
                if self._launch is None:
                    await self._changed.wait()
                    continue
                self._changed = anyio.Event()
                launch = self._launch
                started = time.monotonic()
                error = await self._live(launch)
                if error is None or time.monotonic() - started > LONGEST_BACK_OFF:
                    back_off = FIRST_BACK_OFF
                if error is None:
                    continue
                logger.error("%s %s", error, error.remedy)
                if not isinstance(launch, Launch) and launch.fallback is not None:
                    await self._stand_in(launch, launch.fallback, error)
                    continue
                self._tell(EngineStatus(EnginePhase.FAILED, str(error), error.remedy))
                with anyio.move_on_after(back_off):
                    await self._changed.wait()
                    back_off = FIRST_BACK_OFF / 2
                longest = LONGEST_BACK_OFF if isinstance(launch, Launch) else LONGEST_RECONNECT
                back_off = min(2 * back_off, longest)
        finally:
            self._engine = None

    async def wait_closed(self) -> None:
        """After `run` was cancelled: wait until the engine is closed. If the process ends before, vLLM leaves a file.

        This takes most of a second: not for a process whose end an editor waits for.
        """
        if self._last is not None:
            with anyio.move_on_after(STOP_SECONDS):
                await self._last.wait_closed()

    async def _live(self, launch: Launch | RemoteSource, instead_of: EngineStatus | None = None) -> EngineError | None:
        """Run an engine until it fails (the error) or another launch is wanted (``None``).

        :param instead_of: what a person is told of the server that it stands in for.
        """
        engine = EngineThread(launch, self._loading) if isinstance(launch, Launch) else launch.connect(self._loading)
        self._loading("Starting")
        try:
            await engine.start()
        except EngineError as error:
            return error
        self._engine = self._last = engine
        name = launch.model_name if isinstance(launch, Launch) else f"{engine.folder.path.name} at {launch.name}"
        message = name if instead_of is None else f"{name}. {instead_of.message}"
        self._tell(EngineStatus(EnginePhase.READY, message, instead_of.remedy if instead_of else ""))
        error: EngineError | None = None

        async def wait_closed() -> None:
            nonlocal error
            error = await engine.wait_closed()
            group.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(wait_closed)
                await self._changed.wait()
                self._retire()
                engine.stop()
        finally:
            self._engine = None
            engine.stop()
        return error

    def _retire(self) -> None:
        """Give the running engine no more calls: it is about to stop, which takes as long as the step at hand."""
        if self._engine is not None:
            self._engine = None
            self._loading("Restarting")

    async def _stand_in(self, server: RemoteSource, fallback: Launch, error: EngineError) -> None:
        """Serve with ``fallback`` until the server is back or another launch is wanted."""
        waits = isinstance(error, EngineUnavailableError)
        remedy = "It is used again once it answers." if waits else error.remedy
        away = EngineStatus(EnginePhase.FAILED, str(error), remedy)
        async with anyio.create_task_group() as group:
            group.start_soon(self._await_return, server, self._changed)
            failed = await self._live(fallback, away)
            if failed is not None:
                logger.error("Nor can the bundled model serve: %s %s", failed, failed.remedy)
                self._tell(away)
                await self._changed.wait()
            group.cancel_scope.cancel()

    async def _await_return(self, server: RemoteSource, back: anyio.Event) -> None:
        """Try to connect until it works, and say so."""
        back_off = FIRST_BACK_OFF
        while True:
            await anyio.sleep(back_off)
            probe = server.connect(lambda _stage: None)
            try:
                await probe.start()
            except EngineError as error:
                logger.debug("%s is still away: %s", server.name, error)
                back_off = min(2 * back_off, LONGEST_RECONNECT)
            else:
                back.set()
                return
            finally:
                probe.stop()

    def _loading(self, stage: str) -> None:
        self._tell(EngineStatus(EnginePhase.LOADING, stage))

    def _tell(self, status: EngineStatus) -> None:
        self.status = status
        for watcher in tuple(self._watchers):
            try:
                watcher(status)
            except Exception as error:  # an error in one watcher must not stop the others or the engine
                logger.error("A watcher of the engine failed\n%s", traceback_of(error))
