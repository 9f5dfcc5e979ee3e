"""A socket on which each server tells this user how it is, for ``cato-lsp status``.

It lies in the user's runtime folder, which nobody else can read; there is nothing to be asked but the status, which
holds no code. Systems without Unix sockets go without.
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
    """Answer until cancelled. A server that cannot have a socket does without."""
    if not hasattr(socket, "AF_UNIX"):
        return
    try:
        path = (folder or socket_folder()) / f"{os.getpid()}.sock"
        make_private(path.parent)
        path.unlink(missing_ok=True)  # left behind by a process of the same number, or by a run that failed
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
            logger.error("The status could not be told\n%s", traceback_of(error))

    try:
        async with listener:
            await listener.serve(answer)
    finally:
        path.unlink(missing_ok=True)


def ask_servers(folder: Path | None = None) -> list[dict[str, Any]]:
    """The status of every server of this user; what dead servers left behind is removed."""
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
            # A server that is just starting refuses too, between binding its socket and listening at it.
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
