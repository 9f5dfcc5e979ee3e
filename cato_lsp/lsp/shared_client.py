"""A window's side of the shared server: its process hands its stdin and stdout over, and waits.

All windows of a user are then served by one process with one engine: the model is in memory once, a second window
need not wait for it, and the scheduler weighs the windows against each other. The server reads and writes the
editor's own pipes, so nothing is copied on the way. It is started by the first window, which binds the socket and
passes it on (as systemd does), so that every window can connect at once and none has to ask whether the server is
up yet.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import platformdirs
import psutil

from cato_lsp import __version__
from cato_lsp.lsp.sockets import make_private, socket_folder

logger = logging.getLogger(__name__)

STOP = b"stop"
"""What `stop_servers` says in place of a window's greeting."""
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
    """Where the server listens that serves this installation with the model of the command line."""
    key = hashlib.sha256(json.dumps([__version__, sys.prefix, str(Path(__file__).parent), model]).encode())
    return socket_folder() / "shared" / f"{key.hexdigest()[:12]}.sock"


def shared_log() -> Path:
    """The log of the shared server; the one before it is kept beside it."""
    return platformdirs.user_log_path("cato-lsp", appauthor=False) / "server.log"


def hand_over(model: str | None, log_level: str | None) -> int:
    """Have the shared server serve this process's stdin and stdout to the end; return the exit code.

    The code is 1 when the server died. Raises ``OSError`` if there is no server and none can be started.
    """
    overrides = {"model": model, "log_level": log_level}
    with _connect(shared_socket(model)) as connection:
        socket.send_fds(connection, [json.dumps(overrides).encode()], [0, 1])
        try:
            code = connection.recv(1)
        except ConnectionError:
            code = b""
    if not code:
        logger.error("The shared server has died; its log is %s", shared_log())
    return code[0] if code else 1


def stop_servers() -> list[StoppedServer]:
    """End all shared servers of this user, whatever model or installation they serve, and wait for their ends.

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
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None  # left behind by a server that has died
        try:
            connection.sendall(STOP)
            server = StoppedServer(**json.loads(connection.recv(4096)))
            with suppress(psutil.NoSuchProcess):
                psutil.Process(server.pid).wait(_PATIENCE)
        except (OSError, ValueError, psutil.TimeoutExpired) as error:
            advice = "End its process; `cato-lsp status` names it."
            raise NotStoppedError(f"The server at {path} does not stop ({type(error).__name__}). {advice}") from error
        return server


def _connect(path: Path) -> socket.socket:
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
    """Hold the lock of the socket at ``path``: between windows that start the server, and it when it ends.

    Raises ``BlockingIOError`` if another process has it and ``wait`` is off.
    """
    with path.with_suffix(".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


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
        child = os.fork()
        if child == 0:
            _become_starter(listener, output.fileno())
        os.waitpid(child, 0)
    logger.info("Started the server that all windows share; its log is %s", log)


def _become_starter(listener: socket.socket, output: int) -> None:
    """In a child that ends at once, so that an editor that ends this window's processes leaves the server alone."""
    try:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "cato_lsp", "--listener", str(listener.fileno())],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(listener.fileno(),),
            start_new_session=True,
        )
    finally:
        os._exit(0)
