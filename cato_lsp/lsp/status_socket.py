"""A socket on which each server reports its status to its user, for ``cato-lsp status``.

It is in the user's runtime folder, which no other user can access. It only serves the status, which contains no code.
There is none on systems without Unix sockets.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import psutil
from anyio.abc import SocketStream

from cato_lsp.lsp.methods.status import backend_status
from cato_lsp.lsp.sockets import make_private, socket_folder
from cato_lsp.supervise import traceback_of

if TYPE_CHECKING:
    from cato_lsp.lsp.backend import Backend

logger = logging.getLogger(__name__)

_LONGEST_ANSWER = 1 << 20
_PATIENCE = 2.0


async def serve_status(backend: Backend, folder: Path | None = None) -> None:
    """Serve the status until cancelled. If the socket cannot be created, log that and return."""
    if not hasattr(socket, "AF_UNIX"):
        return
    try:
        path = (folder or socket_folder()) / f"{os.getpid()}.sock"
        make_private(path.parent)
        path.unlink(missing_ok=True)  # the socket of an earlier process with the same number
        listener = await anyio.create_unix_listener(path, mode=0o600)
    except OSError as error:
        logger.info("No status socket: %s", error)
        return

    async def answer(stream: SocketStream) -> None:
        try:
            async with stream:
                await stream.send(json.dumps({"pid": os.getpid(), **backend_status(backend)}).encode())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            logger.debug("A client of the status socket left before it was answered")
        except Exception as error:  # one answer that fails must not end the socket
            logger.error("The status could not be sent\n%s", traceback_of(error))

    try:
        async with listener:
            await listener.serve(answer)
    finally:
        path.unlink(missing_ok=True)


def ask_servers(folder: Path | None = None) -> list[dict[str, Any]]:
    """The status of each server of this user. Removes the sockets of servers that have crashed."""
    found: list[dict[str, Any]] = []
    try:
        paths = sorted((folder or socket_folder()).glob("*.sock"))
    except OSError as error:
        logger.warning("The servers cannot be asked: %s", error)
        return found
    for path in paths:
        try:
            found.append(_ask(path))
        except ConnectionRefusedError:
            # A server that is starting also refuses connections, between binding its socket and listening on it.
            if not psutil.pid_exists(int(path.stem)):
                path.unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            logger.warning("%s: %s", path.name, error)
    return found


def _ask(path: Path) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(str(path))
        data = b""
        while (part := connection.recv(65536)) and len(data) < _LONGEST_ANSWER:
            data += part
    return cast("dict[str, Any]", json.loads(data))
