"""Keeps one engine running: starts it, reports its status, restarts it after a failure or a change of settings."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import anyio

from cato_lsp.engine.api import EngineError, EngineUnavailableError
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.thread import EngineThread
from cato_lsp.supervise import FIRST_BACK_OFF, LONGEST_BACK_OFF, traceback_of

logger = logging.getLogger(__name__)


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


class EngineHost:
    """The one engine of this process, for all sessions."""

    def __init__(self) -> None:
        self.status = EngineStatus()
        self._launch: Launch | None = None
        self._changed = anyio.Event()
        self._engine: EngineThread | None = None
        self._watchers: list[Callable[[EngineStatus], None]] = []

    @property
    def engine(self) -> EngineThread:
        """The running engine.

        Raises:
            EngineUnavailableError: it is not running; the message says why.
        """
        if self._engine is None:
            raise EngineUnavailableError(self.status.message or "No engine was started.", self.status.remedy)
        return self._engine

    @property
    def launch(self) -> Launch | None:
        """The parameters of the running engine, or of the last one."""
        return self._launch

    def watch(self, watcher: Callable[[EngineStatus], None]) -> Callable[[], None]:
        """Call ``watcher`` with the status, now and at every change. Returns a function that ends this."""
        self._watchers.append(watcher)
        watcher(self.status)
        return lambda: self._watchers.remove(watcher)

    def configure(self, launch: Launch) -> None:
        """Run the engine with ``launch``. Restarts it if ``launch`` differs; retries at once after a failure."""
        if launch != self._launch or self.status.phase is EnginePhase.FAILED:
            self._launch = launch
            self._changed.set()

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
                started = time.monotonic()
                error = await self._live(self._launch)
                if error is None or time.monotonic() - started > LONGEST_BACK_OFF:
                    back_off = FIRST_BACK_OFF
                if error is None:
                    continue
                logger.error("%s %s", error, error.remedy)
                self._tell(EngineStatus(EnginePhase.FAILED, str(error), error.remedy))
                with anyio.move_on_after(back_off):
                    await self._changed.wait()
                    back_off = FIRST_BACK_OFF / 2
                back_off = min(2 * back_off, LONGEST_BACK_OFF)
        finally:
            self._engine = None

    async def _live(self, launch: Launch) -> EngineError | None:
        """Run an engine until it fails (the error) or another launch is wanted (``None``)."""
        engine = EngineThread(launch, self._loading)
        self._loading("Starting")
        try:
            await engine.start()
        except EngineError as error:
            return error
        self._engine = engine
        self._tell(EngineStatus(EnginePhase.READY, launch.model_name))
        error: EngineError | None = None

        async def wait_closed() -> None:
            nonlocal error
            error = await engine.wait_closed()
            group.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(wait_closed)
                await self._changed.wait()
                engine.stop()
        finally:
            self._engine = None
            engine.stop()
        return error

    def _loading(self, stage: str) -> None:
        self._tell(EngineStatus(EnginePhase.LOADING, stage))

    def _tell(self, status: EngineStatus) -> None:
        self.status = status
        for watcher in tuple(self._watchers):
            try:
                watcher(status)
            except Exception as error:  # an error in one watcher must not stop the others or the engine
                logger.error("A watcher of the engine failed\n%s", traceback_of(error))
