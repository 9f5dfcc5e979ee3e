"""Answers over HTTP: whole, or as server-sent events. A client that disconnects aborts its call."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cato_lsp.engine.api import EngineError, EngineUnavailableError
from cato_lsp.gateway.openai_errors import error_body, error_response
from cato_lsp.gateway.running import RunningCall

T = TypeVar("T")
GONE = 499
"""HTTP status for a client that has disconnected; nobody reads it."""
ABORTED = EngineUnavailableError("The server has ended this call.", "The key may have been revoked.")


class AnswerEnd(Protocol):
    """Decides where an answer ends, besides what the engine decides."""

    stopped: bool
    """Whether the end was found."""

    def feed(self, text: str, *, last: bool = False) -> str:
        """Add the next part of the answer; return the text that can be sent now."""
        ...


class AnswerFormat(Protocol):
    """How an API writes an answer as JSON."""

    def whole(self, text: str, finish: str) -> Mapping[str, Any]:
        """The response of a request that does not stream."""
        ...

    def part(self, text: str, finish: str | None) -> Mapping[str, Any]:
        """The event with the next part of the text. Only the last one has a reason for the end."""
        ...

    def closing(self, finish: str) -> list[bytes]:
        """The events after the last part."""
        ...


def event(body: Mapping[str, Any]) -> bytes:
    """Encode a server-sent event."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


async def respond(http: Request, running: RunningCall, end: AnswerEnd, form: AnswerFormat, *, stream: bool) -> Response:
    """Answer a request with what a call generates. An error before the first token is an HTTP error."""
    texts = _texts(running, end)
    try:
        if not stream:
            async with running:
                text, finish = await _watching(http, running, lambda: _whole(texts))
            return JSONResponse(form.whole(text, finish)) if finish else error_response(ABORTED)
        first = await _watching(http, running, lambda: anext(texts, None))
        if first is not None:
            return _AbortingResponse(_events(running, first, texts, form), running)
    except EngineError as error:
        running.abort()
        return error_response(error)
    except BaseException:
        running.abort()
        raise
    running.abort()
    return error_response(ABORTED)


async def _texts(running: RunningCall, end: AnswerEnd) -> AsyncGenerator[tuple[str, str | None]]:
    """Yield the parts of the answer as they are generated; the last one has the reason for the end."""
    async for delta in running.deltas():
        text = end.feed(delta.text, last=delta.finish_reason is not None)
        if end.stopped:
            running.finish_reason = "stop"
            running.stream.cancel()
            yield text, "stop"
            return
        if text or delta.finish_reason is not None:
            yield text, delta.finish_reason


async def _whole(texts: AsyncGenerator[tuple[str, str | None]]) -> tuple[str, str | None]:
    parts = [part async for part in texts]
    return "".join(text for text, _ in parts), parts[-1][1] if parts else None


async def _watching(http: Request, running: RunningCall, work: Callable[[], Awaitable[T]]) -> T:
    """Do some work, and abort the call if the client disconnects meanwhile."""
    results: list[T] = []
    failed: EngineError | None = None

    async def watch() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass
        running.stream.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            results.append(await work())
        except EngineError as error:
            failed = error
        group.cancel_scope.cancel()
    if failed is not None:
        raise failed
    return results[0]


async def _events(
    running: RunningCall,
    first: tuple[str, str | None],
    texts: AsyncGenerator[tuple[str, str | None]],
    form: AnswerFormat,
) -> AsyncGenerator[bytes]:
    text, finish = first
    try:
        async with running:
            yield event(form.part(text, finish))
            async for text, reason in texts:
                finish = reason
                yield event(form.part(text, finish))
            if finish is None:
                raise ABORTED
    except EngineError as error:
        yield event(error_body(error))
        return
    for each in form.closing(finish):
        yield each


class _AbortingResponse(StreamingResponse):
    """A streaming response that aborts its call when it ends for any reason.

    If the client disconnects, its generator ends or never starts.
    """

    def __init__(self, events: AsyncGenerator[bytes], running: RunningCall) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._running.abort()
