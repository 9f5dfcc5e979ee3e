"""The Unix socket of the server that a user's windows share: its path, and how the server is started and stopped.

The first window binds the socket and passes it to the server that it starts, as systemd does. So a window can connect
at once, even while the server is starting.
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
"""Seconds to wait for a server to end."""


class StoppedServer(NamedTuple):
    """A shared server that was stopped."""

    pid: int
    windows: int
    """Number of windows that were open."""


class NotStoppedError(RuntimeError):
    """A server did not end; the message says what to do."""


def shared_socket(model: str | None) -> Path:
    """The path of the server's socket. Each model given on the command line has its own server.

    Each installation (virtual environment) has its own servers, so that a window runs the code and the engine of the
    installation that its editor starts. An upgrade in place keeps the socket: old and new windows share a server.
    """
    installation = Path(sys.prefix).resolve()
    name = hashlib.sha256(json.dumps([str(installation), model]).encode()).hexdigest()[:16]
    return socket_folder() / "shared" / f"{name}.sock"


def shared_log(path: Path) -> Path:
    """The log of the server whose socket is ``path``. The log of its predecessor ends in ``.1.log``."""
    return platformdirs.user_log_path("cato-lsp", appauthor=False) / f"server-{path.stem[:8]}.log"


def connect(path: Path) -> socket.socket:
    """Connect to the server at ``path``; start it if none runs.

    Raises ``OSError`` if there cannot be such a server, for example without a private folder for the socket.
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
    """Hold the lock of the socket at ``path``. Windows hold it while they connect, and the server when it ends.

    Raises ``BlockingIOError`` if another process holds it and ``wait`` is false.
    """
    with path.with_suffix(".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def stop_servers() -> list[StoppedServer]:
    """Stop all shared servers of this user, whatever model they serve, and wait until they have ended.

    Open windows get a message, their requests are answered, and their processes end with code 0.
    Raises `NotStoppedError` if a server does not end.
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
            return None  # the socket of a server that has crashed
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
    log = shared_log(path)
    make_private(log.parent)
    if log.exists():
        log.replace(log.with_suffix(".1.log"))
    with socket.socket(socket.AF_UNIX) as listener, log.open("wb") as output:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        # The shell ends at once, so the server is not a descendant of the window's process: an editor that kills the
        # window's processes does not kill the server.
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
