"""The process of `cato-lsp serve`: one engine, one gateway."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Generator
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
from cato_lsp.gateway.infill_routes import infill_routes
from cato_lsp.gateway.keys import KeyFile
from cato_lsp.gateway.limits import Limits
from cato_lsp.gateway.openai_prompts import TextPrompts
from cato_lsp.gateway.openai_routes import openai_routes
from cato_lsp.gateway.service import EngineSide, Keys, ServedModel, Service
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
    def fleet(self) -> None:
        """It is one engine."""


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


def _is_wanted(record: logging.LogRecord) -> bool:
    """Leave out uvicorn's error after each refused connection: it does not know that the refusal is an answer."""
    return not record.getMessage().startswith("ASGI callable returned without completing handshake")


class Gateway:
    """Serves one engine on one port, with keys, limits and all network interfaces."""

    def __init__(
        self, options: ServeOptions, keys: Keys, side: EngineSide, listener: socket.socket | None = None
    ) -> None:
        """Open the port, which `run` closes.

        :param listener: an open socket to listen at, instead of the address of the options.

        Raises:
            RefusedError: the certificate cannot be used, or the port cannot be opened.
        """
        self.service = Service(side, keys, options.limits)
        self.listening = anyio.Event()
        """Set when connections are accepted. The engine may still be loading."""
        self._server = _Uvicorn(_uvicorn_config(options, self.service), self.listening)
        self._socket = listener or open_port(options.host, options.port)

    async def run(self) -> None:
        """Serve until `stop`."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.service.watch_keys)
            await self._server.serve([self._socket])
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
    logging.getLogger("uvicorn.error").addFilter(_is_wanted)
    gateway = Gateway(options, keys, side)
    async with anyio.create_task_group() as group:
        group.start_soon(host.run)
        group.start_soon(_stop_on_signal, gateway)
        host.watch(_log_status)
        host.configure(options.launch)
        await gateway.run()
        group.cancel_scope.cancel()
    await host.wait_closed()


def _uvicorn_config(options: ServeOptions, service: Service) -> uvicorn.Config:
    prompts = TextPrompts(options.launch.model)
    config = uvicorn.Config(
        make_app(service, [*openai_routes(service, prompts), *infill_routes(service, prompts)]),
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
    try:
        config.load()
    except OSError as error:
        raise RefusedError(
            f"The certificate {options.tls_cert} cannot be used with the key {options.tls_key}: {error}.\n"
            "Give the chain as PEM with --tls-cert, and the private key that belongs to it with --tls-key."
        ) from error
    return config


def open_port(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Open a port to listen at.

    :param shared: also open it if a server of this user that leaves still holds it.

    Raises:
        RefusedError: it cannot be opened.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, reuse_port=shared)
        # Connections inherit it. asyncio sets it only where the socket's protocol is given, and without it a token
        # waits up to 40 ms for the acknowledgement of the one before.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            remedy = "Another server may be running: stop it, or choose another port with --port."
        else:
            remedy = "Choose an address of this machine with --host, and a port of 1024 or more with --port."
        raise RefusedError(f"Cannot listen at {host}:{port}: {os.strerror(error.errno or 0)}.\n{remedy}") from error


async def _stop_on_signal(gateway: Gateway) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            await gateway.stop()


def _log_status(status: EngineStatus) -> None:
    level = logging.ERROR if status.phase is EnginePhase.FAILED else logging.INFO
    logger.log(level, "Engine: %s", " ".join(filter(None, (status.phase.value, status.message, status.remedy))))
