"""The connection of one laptop: receives calls, sends deltas."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict

import anyio
import anyio.abc
from starlette.websockets import WebSocket, WebSocketDisconnect

from cato_lsp.engine.api import CallRejectedError, EngineError
from cato_lsp.gateway.keys import User
from cato_lsp.gateway.running import RunningCall
from cato_lsp.gateway.service import ServedModel, Service
from cato_lsp.remote.calls import Levels, checked_spellings, from_wire
from cato_lsp.remote.messages import (
    BAD_MESSAGE,
    FILE_CHUNK,
    KEY_REVOKED,
    PROTOCOL,
    SILENCE,
    WRONG_TOKENIZER,
    WRONG_VERSION,
    BadMessageError,
    CallDelta,
    CallFailed,
    Cancel,
    Draining,
    Fetch,
    FilePart,
    FromLaptop,
    Hello,
    Hint,
    Message,
    Ping,
    Pong,
    Spellings,
    SubmitCall,
    Usage,
    Welcome,
    encode,
    read_from_laptop,
)

logger = logging.getLogger(__name__)

RESTARTS = 1012
"""WebSocket close code of RFC 6455's registry: service restart."""
ABORT_WAIT = 2.0
"""Seconds to wait for the usage of a call after its end."""


class _GoneError(Exception):
    """The laptop has disconnected, or sends nothing."""


class Connection:
    """Serves one laptop until it disconnects, is silent for too long, sends a bad message or its key is revoked."""

    def __init__(self, service: Service, socket: WebSocket, user: User, model: ServedModel) -> None:
        self._service = service
        self._socket = socket
        self._user = user
        self._model = model
        self._calls: dict[int, RunningCall] = {}
        self._spellings: dict[int, Levels] = {}
        self._round_trip = 0.0
        self._group: anyio.abc.TaskGroup

    async def run(self) -> None:
        """Serve the accepted socket."""
        allowance = self._service.allowance(self._user)
        allowance.connections += 1
        self._service.metrics.connections.inc()
        try:
            if await self._introduced():
                async with anyio.create_task_group() as self._group:
                    self._group.start_soon(self._until_revoked)
                    self._group.start_soon(self._until_draining)
                    await self._read()
                    self._group.cancel_scope.cancel()
        except* (_GoneError, WebSocketDisconnect):
            logger.debug("A laptop of %s has disconnected", self._user.name)
        except* BadMessageError as errors:
            logger.warning("%s sent a bad message: %s", self._user.name, errors.exceptions[0])
            await self._close(BAD_MESSAGE, str(errors.exceptions[0]))
        finally:
            allowance.connections -= 1
            self._service.metrics.connections.dec()
            self._service.metrics.abandoned.inc(len(self._calls))
            for running in self._calls.values():
                running.abort()

    async def _introduced(self) -> bool:
        """Exchange `Hello` and `Welcome`; return whether client and server are compatible."""
        hello = await self._receive()
        model = self._model
        if not isinstance(hello, Hello):
            raise BadMessageError("The first message must be hello.")
        if hello.protocol != PROTOCOL:
            await self._close(WRONG_VERSION, f"it speaks protocol {PROTOCOL}, and you {hello.protocol}.")
            return False
        if hello.tokenizer not in ("", model.tokenizer):
            await self._close(WRONG_TOKENIZER, "the model has changed.")
            return False
        await self._send(
            Welcome(
                PROTOCOL,
                model.name,
                model.tokenizer,
                model.files,
                model.context_length,
                list(model.features),
                self._user.name,
            )
        )
        return True

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            match message:
                case SubmitCall():
                    await self._submit(message)
                case Cancel(number):
                    if (running := self._calls.get(number)) is not None:
                        running.stream.cancel()
                case Hint(milliseconds, client):
                    self._service.hint(client if self._user.is_gateway else self._user.name, milliseconds / 1000)
                case Ping():
                    await self._pong(message)
                case Spellings():
                    self._spellings[message.slot] = checked_spellings(message.levels, self._model.vocabulary)
                case Fetch(name):
                    await self._send_file(name)
                case Hello():
                    raise BadMessageError("A second hello.")

    async def _submit(self, message: SubmitCall) -> None:
        if message.id in self._calls:
            raise BadMessageError("Two calls with one id.")
        call = from_wire(
            message,
            time.monotonic(),
            self._round_trip,
            client=message.client if self._user.is_gateway else self._user.name,
            cache_salt=message.cache_salt if self._user.is_gateway else self._user.cache_salt,
            spellings=self._spellings.get(message.spellings) if message.spellings is not None else None,
            vocabulary=self._model.vocabulary,
        )
        try:
            running = self._service.submit(self._user, call)
        except EngineError as error:
            await self._send(_failed(message.id, error))
        else:
            self._calls[message.id] = running
            self._group.start_soon(self._answer, message.id, running)

    async def _answer(self, number: int, running: RunningCall) -> None:
        """Send a call's deltas as they arrive, then its usage."""
        try:
            async with running:
                async for delta in running.deltas():
                    await self._send(
                        CallDelta(
                            number,
                            delta.text,
                            list(delta.token_ids),
                            delta.finish_reason,
                            delta.cached_prompt_tokens,
                            delta.log_probability,
                            asdict(self._service.cost()) if self._user.is_gateway else {},
                        )
                    )
        except EngineError as error:
            await self._send(_failed(number, error))
        del self._calls[number]
        await self._send(await _usage(number, running))

    async def _pong(self, ping: Ping) -> None:
        self._round_trip = ping.rtt_ms / 1000
        stats = self._service.stats()
        await self._send(
            Pong(
                ping.sent,
                stats.steps,
                stats.tokens_computed,
                stats.tokens_wasted,
                stats.calls_running,
                stats.calls_waiting,
                stats.kv_cache_usage,
                asdict(self._service.cost()),
            )
        )

    async def _send_file(self, name: str) -> None:
        # Only files named in `Welcome` are served, from memory; a laptop's input never becomes a path.
        content = self._model.contents.get(name)
        if content is None:
            raise BadMessageError("There is no file of that name.")
        for start in range(0, max(1, len(content)), FILE_CHUNK):
            end = start + FILE_CHUNK
            await self._send(FilePart(name, content[start:end], end >= len(content)))

    async def _until_revoked(self) -> None:
        await self._service.revoked(self._user)
        logger.info("The key of %s was revoked", self._user.name)
        await self._close(KEY_REVOKED, "The key was revoked.")
        self._group.cancel_scope.cancel()

    async def _until_draining(self) -> None:
        await self._service.draining.wait()
        if self._service.has_successor:
            # The laptop reconnects, and submits the rest of its open calls there.
            await self._close(RESTARTS, "The server is replaced.")
            self._group.cancel_scope.cancel()
        else:
            await self._send(Draining())

    async def _receive(self) -> FromLaptop:
        with anyio.move_on_after(SILENCE):
            frame = await self._socket.receive()
            if frame["type"] == "websocket.disconnect":
                raise _GoneError
            if not (data := frame.get("bytes")):
                raise BadMessageError("A text frame.")
            return read_from_laptop(data)
        # The laptop may be asleep or without network: its calls must not continue.
        raise _GoneError

    async def _send(self, message: Message) -> None:
        """Send a message. If the laptop does not read it for too long, end the connection."""
        with anyio.move_on_after(SILENCE) as scope:
            try:
                await self._socket.send_bytes(encode(message))
            except (WebSocketDisconnect, RuntimeError, OSError) as error:
                # Starlette raises RuntimeError if the socket was closed in the meantime.
                raise _GoneError from error
        if scope.cancelled_caught:
            raise _GoneError

    async def _close(self, code: int, reason: str) -> None:
        with anyio.move_on_after(1, shield=True):
            try:
                await self._socket.close(code, reason.encode()[:120].decode(errors="ignore"))
            except (RuntimeError, WebSocketDisconnect, OSError):
                logger.debug("The connection was closed already")


def _failed(number: int, error: EngineError) -> CallFailed:
    return CallFailed(number, str(error), error.remedy, isinstance(error, CallRejectedError))


async def _usage(number: int, running: RunningCall) -> Usage:
    """Wait until a call has ended in the engine, and return its usage."""
    usage = running.stream.usage
    if running.finish_reason is None and not running.failed:
        with anyio.move_on_after(ABORT_WAIT):
            # The engine's thread sets it without a notification.
            while usage.abort_latency_steps is None:  # noqa: ASYNC110
                await anyio.sleep(0.01)
    return Usage(
        number,
        usage.tokens_computed,
        usage.tokens_after_cancel,
        usage.abort_latency_steps,
        1000 * (time.monotonic() - usage.added) if usage.added is not None else None,
    )
