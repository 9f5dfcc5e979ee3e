"""The part of the server that all sessions share: one engine and one orchestrator."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from cato_lsp.config import Settings
from cato_lsp.engine.api import EngineError
from cato_lsp.engine.host import EngineHost, RemoteSource
from cato_lsp.engine.launch import Launch, vllm_distribution
from cato_lsp.engine.telemetry import MachineMonitor
from cato_lsp.models.catalog import ModelChoice, resolve_model
from cato_lsp.orchestrator.orchestrator import Orchestrator
from cato_lsp.remote.engine import RemoteLaunch
from cato_lsp.supervise import supervise

logger = logging.getLogger(__name__)


class WindowStatus(Protocol):
    """Reports the engine's status to a session's client."""

    def warn(self, text: str) -> None:
        """Show a warning, once."""
        ...

    def refresh(self) -> None:
        """Send the status again after a change of settings."""
        ...


class Window(Protocol):
    """The part of a session that the backend uses."""

    @property
    def client(self) -> str:
        """The session's name."""
        ...

    @property
    def settings(self) -> Settings:
        """The session's current settings."""
        ...

    @property
    def status(self) -> WindowStatus:
        """Reports status and problems to its client."""
        ...

    @property
    def root(self) -> Path:
        """The folder to which relative paths in its settings refer."""
        ...


class Backend:
    """The shared side of the server. `run` serves until cancelled."""

    def __init__(self) -> None:
        self.host = EngineHost()
        self.orchestrator = Orchestrator(self.host)
        self.machine = MachineMonitor(lambda: self.orchestrator.engine_stats().kv_cache_usage)
        self._sessions: list[Window] = []
        self._leader: Window | None = None
        """The session whose settings the engine follows."""

    async def run(self) -> None:
        """Run the engine, the orchestrator and the telemetry until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(supervise, "The engine's host", self.host.run)
            group.start_soon(self.orchestrator.run)
            group.start_soon(supervise, "The telemetry", self.machine.run)

    async def use(self, session: Window) -> None:
        """Apply a session's settings.

        The log level follows the first session, and the engine the first session whose model was found. Another session
        gets a warning that names the differences.
        """
        if session not in self._sessions:
            self._sessions.append(session)
        settings = session.settings
        if session is self._sessions[0]:
            logging.getLogger().setLevel(settings.log_level.upper())
        try:
            choice = await anyio.to_thread.run_sync(resolve_model, settings.model, session.root)
        except EngineError as error:
            self.host.refuse(error)
            session.status.warn(f"{error} {error.remedy}")
            return
        if session not in self._sessions:
            return  # the session has ended in the meantime
        launch = _launch(settings, choice)
        running = self.host.launch
        if running is None or self._leader in (None, session):
            self._leader = session
            if isinstance(launch, Launch):
                logger.info("The model is %s: %s", choice.name, choice.why)
            self.host.configure(launch)
        elif launch != running:
            session.status.warn(
                f"The shared engine runs with the settings of another window: {_differences(running, launch)}. "
                "Run `cato-lsp stop` to restart it with these settings."
            )
        session.status.refresh()

    def leave(self, session: Window) -> None:
        """Free the resources of a session."""
        self.orchestrator.close_client(session.client)
        if session in self._sessions:
            self._sessions.remove(session)
        if session is self._leader:
            self._leader = next(iter(self._sessions), None)


def _launch(settings: Settings, choice: ModelChoice) -> Launch | RemoteLaunch:
    """The engine that the settings specify: a local one, or a team's server with the bundled model as fallback."""
    if settings.engine.url is None:
        return Launch(choice.path, settings.engine, choice.name)
    bundled = resolve_model("bundled")
    fallback = Launch(bundled.path, settings.engine, bundled.name) if vllm_distribution() is not None else None
    return RemoteLaunch(settings.engine.url, fallback)


def _differences(running: Launch | RemoteSource, wanted: Launch | RemoteLaunch) -> str:
    """The settings in which the running engine differs from the wanted one, as text."""
    if not isinstance(running, Launch) or not isinstance(wanted, Launch):
        servers = (None if isinstance(each, Launch) else each.name for each in (running, wanted))
        return "engine.url is {}, not {}".format(*map(_shown, servers))
    pairs: dict[str, tuple[object, object]] = {"model": (running.model, wanted.model)}
    for name in type(wanted.settings).model_fields:
        pairs[f"engine.{name}"] = getattr(running.settings, name), getattr(wanted.settings, name)
    return ", ".join(
        f"{name} is {_shown(theirs)}, not {_shown(ours)}" for name, (theirs, ours) in pairs.items() if theirs != ours
    )


def _shown(value: object) -> str:
    return "unset" if value is None else str(value)
