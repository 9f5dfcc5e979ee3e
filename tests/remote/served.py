"""A server, its administrator and its users as processes, each with folders of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import trustme

from tests.lsp.wire import Wire

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0
"""Seconds after which a missing state fails a test; no test measures time by it."""
ENGINE = "[engine]\nthreads = 1\nkv_cache_gb = 0.25\n"


WITHOUT_ENGINE = """
import importlib.metadata, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("vllm", "torch", "ray", "uvicorn", "starlette"):
            raise ModuleNotFoundError(f"{name} is absent here", name=name)

sys.meta_path.insert(0, Absent())
version = importlib.metadata.version

def installed(name):
    if name.startswith("vllm"):
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.metadata.version = installed
"""
"""Python runs it at its start: an environment with the plain dependencies only."""


class Person:
    """Somebody's folders, and the commands that they run."""

    def __init__(self, folder: Path, settings: str = "", **environment: str) -> None:
        self.folder = folder
        runtime = folder / "run"
        runtime.mkdir(parents=True, mode=0o700)
        (folder / "config" / "cato-lsp").mkdir(parents=True)
        (folder / "config" / "cato-lsp" / "cato.toml").write_text(settings)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CATO_", "SSL_"))}
        self.environment = kept | {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            **environment,
        }

    async def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of cato-lsp to its end."""

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                command(*arguments),
                input=stdin,
                env=self.environment | environment,
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )

        return await anyio.to_thread.run_sync(run)

    @asynccontextmanager
    async def window(self, *arguments: str) -> AsyncIterator[Wire]:
        """An editor window on the language server that ``arguments`` start, with a document open."""
        process = await asyncio.create_subprocess_exec(
            *command(*arguments), stdin=PIPE, stdout=PIPE, env=self.environment, cwd=self.folder
        )
        assert process.stdin
        assert process.stdout
        wire = Wire(process.stdout, process.stdin)
        try:
            await wire.initialize(options={"completion": {"answerMs": 20000, "minProbability": 0}})
            yield wire
            await wire.call("shutdown")
            wire.notify("exit")
            with anyio.fail_after(PATIENCE):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def command(*arguments: str) -> list[str]:
    """The command line of cato-lsp."""
    return [sys.executable, "-m", "cato_lsp", *arguments]


class Served:
    """A server behind TLS, and its users' keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.admin = Person(folder / "admin", ENGINE)
        self.authority = trustme.CA()
        self.trust = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(self.trust)
        self.certificate, self.private = folder / "cert.pem", folder / "key.pem"
        issued = self.authority.issue_cert("127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.private)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"wss://127.0.0.1:{self.port}"
        self.thin = folder / "thin"
        self.thin.mkdir()
        (self.thin / "sitecustomize.py").write_text(WITHOUT_ENGINE)
        self.log = folder / "server.log"
        self.keys: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def person(self, name: str, settings: str = "", **environment: str) -> Person:
        """A user with a laptop that trusts the server's certificate and has no vLLM."""
        path = os.pathsep.join((str(self.thin), str(ROOT)))
        return Person(self.folder / name, settings, SSL_CERT_FILE=str(self.trust), PYTHONPATH=path, **environment)

    async def add(self, name: str) -> str:
        """Make a key as the administrator does."""
        made = await self.admin.run("keys", "add", name)
        assert made.returncode == 0, made.stderr
        (key,) = made.stdout.splitlines()
        self.keys[name] = key
        return key

    async def start(self) -> None:
        """Start the server if it is not running, and wait until it serves."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._serve()
        with anyio.fail_after(PATIENCE):
            while (await self.get("/health"))[0] != 200:
                assert self._process.poll() is None, self.log.read_text()
                await anyio.sleep(0.1)

    @property
    def tls(self) -> tuple[str, ...]:
        """The server's options for TLS."""
        return "--tls-cert", str(self.certificate), "--tls-key", str(self.private)

    def _serve(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            arguments = command("serve", "--port", str(self.port), *self.tls)
            return subprocess.Popen(arguments, env=self.admin.environment, stderr=log)

    def terminate(self) -> None:
        """Send SIGTERM."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait until the server has ended; return its exit code."""
        assert self._process is not None
        return await anyio.to_thread.run_sync(self._process.wait, PATIENCE)

    def close(self) -> None:
        """Kill the server if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    async def get(self, path: str, key: str | None = None) -> tuple[int, str]:
        """Request a page; return its status, 0 if nobody answers, and its text."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", headers=headers)
        context = ssl.create_default_context(cafile=self.trust)

        def get() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError:
                return 0, ""

        return await anyio.to_thread.run_sync(get)

    async def overview(self) -> dict[str, Any]:
        """What `cato-lsp top` shows, as data."""
        return json.loads((await self.get("/overview", self.keys["alice"]))[1])
