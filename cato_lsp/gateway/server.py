"""The process of `cato-lsp serve`: one engine, one gateway."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
import uvicorn

from cato_lsp.engine.host import EngineHost, EnginePhase, EngineStatus, RunningEngine
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.model_folder import inspect_tokenizer_folder
from cato_lsp.engine.thread import EngineThread
from cato_lsp.gateway.app import make_app
from cato_lsp.gateway.keys import KeyFile
from cato_lsp.gateway.limits import Limits
from cato_lsp.gateway.openai_routes import openai_routes
from cato_lsp.gateway.service import EngineSide, Keys, ReplicaView, ServedModel, Service
from cato_lsp.remote.messages import FORCED_PREFIX, MOST_CLIENT_BYTES
from cato_lsp.remote.model_files import describe, tokenizer_hash

logger = logging.getLogger(__name__)

GRACE = 10.0
"""Seconds that running calls have to finish when the server stops."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of `cato-lsp serve`."""

    launch: Launch
    keys: Path
    host: str = "127.0.0.1"
    port: int = 8765
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False
    limits: Limits = field(default_factory=Limits)


class RefusedError(Exception):
    """The configuration is not safe, or the server cannot start; the message says what to do."""


class ModelFiles:
    """What laptops need of a model's folder. Reads the files, so make it on a worker thread."""

    def __init__(self, launch: Launch) -> None:
        folder = inspect_tokenizer_folder(launch.model)
        self._name, self._vocabulary = launch.model_name, folder.vocabulary
        self._files = describe(folder.path)
        self._contents = {file: (folder.path / file).read_bytes() for file in self._files}
        self.tokenizer = tokenizer_hash(self._files)
        """Hash of the files."""

    def served(self, context_length: int, *, forces_prefixes: bool) -> ServedModel:
        """The model, on an engine with these abilities."""
        features = (FORCED_PREFIX,) if forces_prefixes else ()
        return ServedModel(
            self._name, self.tokenizer, self._files, self._contents, context_length, self._vocabulary, features
        )


class HostedEngine:
    """The `EngineSide` of an engine in this process."""

    def __init__(self, host: EngineHost, launch: Launch) -> None:
        self._host = host
        self._files = ModelFiles(launch)

    @property
    def engine(self) -> RunningEngine:
        """The running engine."""
        return self._host.engine

    @property
    def model(self) -> ServedModel:
        """The running model."""
        engine = self._host.engine
        forces = isinstance(engine, EngineThread) and engine.forces_prefixes
        return self._files.served(engine.context_length, forces_prefixes=forces)

    @property
    def replicas(self) -> Mapping[str, ReplicaView]:
        """There are none."""
        return {}


def check_exposure(options: ServeOptions) -> None:
    """Refuse to send code over a network unencrypted.

    Raises:
        RefusedError: TLS is needed and not configured, or only one of certificate and key is given.
    """
    if (options.tls_cert is None) is not (options.tls_key is None):
        raise RefusedError("--tls-cert and --tls-key belong together.")
    if options.tls_cert is None and not options.insecure and not _is_loopback(options.host):
        raise RefusedError(
            f"Code would go to {options.host} unencrypted. Give --tls-cert and --tls-key, or say --insecure if "
            "something else encrypts it, such as a reverse proxy or WireGuard."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Uvicorn(uvicorn.Server):
    """Does not handle signals, since running calls have to finish before the server stops."""

    def __init__(self, config: uvicorn.Config, listening: anyio.Event) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class Gateway:
    """Serves one engine on one port, with keys, limits and all network interfaces."""

    def __init__(self, options: ServeOptions, keys: Keys, side: EngineSide) -> None:
        self.service = Service(side, keys, options.limits)
        self.listening = anyio.Event()
        """Set when connections are accepted. The engine may still be loading."""
        self._options = options
        self._server = _Uvicorn(_uvicorn_config(options, self.service), self.listening)

    async def run(self, listener: socket.socket | None = None) -> None:
        """Serve until `stop`.

        :param listener: an open socket to listen at, instead of the address of the options.

        Raises:
            RefusedError: the port cannot be opened.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self.service.watch_keys)
            await _listen(self._server, self._options, [listener] if listener else None)
            group.cancel_scope.cancel()

    def stop_listening(self) -> None:
        """Accept no more connections; those that are open stay."""
        for server in self._server.servers:
            server.close()

    async def stop(self, grace: float = GRACE) -> None:
        """Refuse new calls, wait at most ``grace`` seconds for running ones, and close all connections."""
        service = self.service
        logger.warning("Stopping; %d calls are running", len(service.running))
        service.draining.set()
        with anyio.move_on_after(grace):
            await service.idle()
        self._server.should_exit = True


async def run_server(options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        RefusedError: the server cannot start.
        KeyFileError: the keys cannot be read.
        EngineError: the model cannot be used.
    """
    check_exposure(options)
    keys = KeyFile(options.keys)
    keys.reload()
    if not keys.keys():
        raise RefusedError("Nobody has a key yet. Make one with `cato-lsp keys add NAME`.")
    host = EngineHost()
    side = await anyio.to_thread.run_sync(HostedEngine, host, options.launch)
    gateway = Gateway(options, keys, side)
    async with anyio.create_task_group() as group:
        group.start_soon(host.run)
        group.start_soon(_stop_on_signal, gateway)
        host.watch(_log_status)
        host.configure(options.launch)
        await gateway.run()
        group.cancel_scope.cancel()


def _uvicorn_config(options: ServeOptions, service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(service, openai_routes(service, options.launch.model)),
        host=options.host,
        port=options.port,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        # Allows several tasks to send at the same time, and applies back-pressure when the laptop does not read.
        ws="websockets-sansio",
        ws_max_size=MOST_CLIENT_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=2,
    )


async def _listen(server: uvicorn.Server, options: ServeOptions, sockets: list[socket.socket] | None) -> None:
    try:
        await server.serve(sockets)
    except SystemExit:
        # uvicorn logs why, and exits.
        raise RefusedError(
            f"Cannot listen at {options.host}:{options.port}; see the log. Another server may be running: use --port."
        ) from None
    except OSError as error:
        raise RefusedError(f"The certificate or its key cannot be used: {error}.") from error


async def _stop_on_signal(gateway: Gateway) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            await gateway.stop()


def _log_status(status: EngineStatus) -> None:
    level = logging.ERROR if status.phase is EnginePhase.FAILED else logging.INFO
    logger.log(level, "Engine: %s %s %s", status.phase.value, status.message, status.remedy)
