"""A real server around the live engine that tests share, and laptops that connect to it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import trustme

from cato_lsp.engine.launch import Launch
from cato_lsp.gateway.keys import KeyFile
from cato_lsp.gateway.limits import Limits
from cato_lsp.gateway.server import Gateway, HostedEngine, ServeOptions
from cato_lsp.lsp.backend import Backend
from cato_lsp.remote.engine import RemoteEngine, RemoteLaunch


class Team:
    """A server's port, keys and users, as tests see them."""

    def __init__(self, backend: Backend, launch: Launch, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.keys = KeyFile(folder / "keys.json")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"ws://127.0.0.1:{self.port}"
        self._secrets = {"alice": self.keys.add("alice"), "bob": self.keys.add("bob", team="other")}
        self._backend, self._environment = backend, environment
        self._launch = launch

    @asynccontextmanager
    async def server(self, tls: trustme.LeafCert | None = None, limits: Limits | None = None) -> AsyncIterator[Gateway]:
        """Serve within the context."""
        cert = key = None
        if tls is not None:
            cert, key = self.folder / "cert.pem", self.folder / "key.pem"
            tls.cert_chain_pems[0].write_to_path(cert)
            tls.private_key_pem.write_to_path(key)
            self.url = f"wss://127.0.0.1:{self.port}"
        options = ServeOptions(
            self._launch,
            self.keys.path,
            port=self.port,
            tls_cert=cert,
            tls_key=key,
            limits=limits or Limits(rate=1000),
        )
        side = HostedEngine(self._backend.host, self._launch)
        gateway = Gateway(options, self.keys, side)
        async with anyio.create_task_group() as group:
            group.start_soon(gateway.run)
            await gateway.listening.wait()
            try:
                yield gateway
            finally:
                with anyio.CancelScope(shield=True):
                    await gateway.stop(grace=0)

    def key(self, user: str) -> str:
        """The key of ``alice``, or of ``bob``, who is in another team."""
        return self._secrets[user]

    def remote(self, user: str = "alice", url: str | None = None) -> RemoteEngine:
        """A user's end of a connection that is not open yet."""
        self._environment.setenv("CATO_KEY", self.key(user))
        return RemoteEngine(RemoteLaunch(url or self.url, cache=self.folder / f"cache-{user}"))

    @asynccontextmanager
    async def laptop(self, user: str = "alice", url: str | None = None) -> AsyncIterator[RemoteEngine]:
        """A connected laptop."""
        engine = self.remote(user, url)
        await engine.start()
        async with anyio.create_task_group() as group:
            group.start_soon(engine.wait_closed)
            try:
                yield engine
            finally:
                engine.stop()


@pytest.fixture
def team(backend: Backend, launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    """A team whose server is not started yet."""
    return Team(backend, launch, tmp_path, monkeypatch)
