"""The Unix socket of the server that a user's windows share: where it is, who starts the server, how it is stopped.

The first window binds the socket and passes it to the server that it starts, as systemd does. Every window can
then connect at once, and none has to ask whether the server is up yet.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import platformdirs

from cato_lsp.lsp.sockets import make_private, socket_folder

logger = logging.getLogger(__name__)

STOP = {"stop": True}
"""The greeting of `stop_servers`, in place of a window's `Greeting`."""
_PATIENCE = 30.0
"""Seconds that a server has to end."""


class StoppedServer(NamedTuple):
    """A shared server that was told to stop, and has."""

    pid: int
    windows: int
    """How many were open."""


class NotStoppedError(RuntimeError):
    """A server did not end; the message says what to do."""


def shared_socket(model: str | None) -> Path:
    """Where the server listens. ``model`` is that of the command line: each has its server.

    Each installation (virtual environment) has its own servers, so that a window runs the code and the engine of the
    installation that its editor starts. An upgrade in place keeps the socket: old and new windows share a server.
    """
    installation = Path(sys.prefix).resolve()
    name = hashlib.sha256(json.dumps([str(installation), model]).encode()).hexdigest()[:16]
    return socket_folder() / "shared" / f"{name}.sock"


def shared_log() -> Path:
    """The log of the shared server; that of the server before it is ``server.1.log``."""
    return platformdirs.user_log_path("cato-lsp", appauthor=False) / "server.log"


def connect(path: Path) -> socket.socket:
    """Connect to the server at ``path``; start it if there is none.

    Raises ``OSError`` where there can be no such server.
    """
    make_private(path.parent)
    connection = socket.socket(socket.AF_UNIX)
    try:
        with locked(path):
            try:
                connection.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                _start_server(path)
                connection.connect(str(path))
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Generator[None]:
    """Hold the lock of the socket at ``path``: windows do while they connect, and the server when it ends.

    Raises ``BlockingIOError`` if another process has it and ``wait`` is off.
    """
    with path.with_suffix(".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def stop_servers() -> list[StoppedServer]:
    """End all shared servers of this user, whatever model they serve, and wait for their ends.

    Open windows are told, their requests answered, and their processes leave with code 0.
    Raises `NotStoppedError` for a server that does not end.
    """
    folder = socket_folder() / "shared"
    if not folder.exists():
        return []
    make_private(folder)
    stopped = (_stop(path) for path in sorted(folder.glob("*.sock")))
    return [server for server in stopped if server is not None]


def _stop(path: Path) -> StoppedServer | None:
    import psutil

    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None  # left behind by a server that has died
        try:
            connection.sendall(json.dumps(STOP).encode() + b"\n")
            server = StoppedServer(**json.loads(connection.recv(4096)))
            with suppress(psutil.NoSuchProcess):
                psutil.Process(server.pid).wait(_PATIENCE)
        except (OSError, ValueError, psutil.TimeoutExpired) as error:
            advice = "End its process; `cato-lsp status` names it."
            raise NotStoppedError(f"The server at {path} does not stop ({type(error).__name__}). {advice}") from error
        return server


def _start_server(path: Path) -> None:
    path.unlink(missing_ok=True)
    log = shared_log()
    make_private(log.parent)
    if log.exists():
        log.replace(log.with_suffix(".1.log"))
    with socket.socket(socket.AF_UNIX) as listener, log.open("wb") as output:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        # The shell ends at once: an editor that ends this window's processes leaves the server alone.
        server = [sys.executable, "-P", "-m", "cato_lsp", "--listener", str(listener.fileno())]
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *server],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(listener.fileno(),),
            start_new_session=True,
            check=True,
        )
    logger.info("Started the shared server; its log is %s", log)
