"""Endpoints for OpenAI's clients, with the same keys, limits and scheduler: completions, chat, models."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cato_lsp.engine.api import Call, CallRejectedError, EngineError
from cato_lsp.gateway.keys import User
from cato_lsp.gateway.limits import LimitError
from cato_lsp.gateway.openai_prompts import ANSWER_TOKENS, TextPrompt, TextPrompts
from cato_lsp.gateway.openai_requests import MOST_BYTES, ChatRequest, CompletionRequest, GenerationRequest
from cato_lsp.gateway.running import RunningCall
from cato_lsp.gateway.service import Service
from cato_lsp.gateway.stop_text import StopText
from cato_lsp.scheduling.slo import Slo, TaskKind

CHAT_TOKENS = 1024
"""Maximum tokens of a chat answer without ``max_tokens``."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A running call, and the format of its response."""

    running: RunningCall
    stops: StopText
    model: str
    chat: bool
    request: GenerationRequest
    name: str
    created: int

    def shown(self, text: str, finish: str | None, *, streamed: bool) -> dict[str, Any]:
        """A response, or a part of one."""
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": None}
        if not self.chat:
            choice["text"] = text
        elif streamed:
            choice["delta"] = {"role": "assistant", "content": text}
        else:
            choice["message"] = {"role": "assistant", "content": text}
        kind = "chat.completion" if self.chat else "text_completion"
        return {
            "id": self.name,
            "object": f"{kind}.chunk" if streamed and self.chat else kind,
            "created": self.created,
            "model": self.model,
            "choices": [choice],
        }

    def usage(self) -> dict[str, Any]:
        """The token counts of the response."""
        prompt = len(self.running.call.prompt_ids)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": self.running.tokens,
            "total_tokens": prompt + self.running.tokens,
            "prompt_tokens_details": {"cached_tokens": self.running.cached},
        }


def openai_routes(service: Service, folder: Path) -> list[Route]:
    """Make the routes.

    :param folder: the model's files.
    """
    endpoints = _Endpoints(service, TextPrompts(folder))
    return [
        Route("/v1/models", _guarded(service, endpoints.models)),
        Route("/v1/completions", _guarded(service, endpoints.completions), methods=["POST"]),
        Route("/v1/chat/completions", _guarded(service, endpoints.chat), methods=["POST"]),
    ]


class _Endpoints:
    """The handlers of the routes. Each gets an authenticated user."""

    def __init__(self, service: Service, prompts: TextPrompts) -> None:
        self._service = service
        self._prompts = prompts

    async def models(self, _request: Request, _user: User) -> Response:
        """List the one model."""
        model = self._service.side.model
        entry = {"id": model.name, "object": "model", "created": 0, "owned_by": "cato-lsp"}
        return JSONResponse({"object": "list", "data": [{**entry, "max_model_len": model.context_length}]})

    async def completions(self, http: Request, user: User) -> Response:
        """Complete a text, or fill in the text between a prompt and a suffix."""
        request = msgspec.json.decode(await _body(http), type=CompletionRequest)
        context = self._service.side.model.context_length
        answer = min(request.max_tokens or ANSWER_TOKENS, context // 2 if request.max_tokens is None else context)
        room = context - answer
        if room < 1:
            raise CallRejectedError(f"`max_tokens` leaves no room for a prompt in {context} tokens.", "Lower it.")
        prompt = await anyio.to_thread.run_sync(self._prompts.completion, request, room)
        return await self._serve(http, user, request, prompt, answer, TaskKind.COMPLETION)

    async def chat(self, http: Request, user: User) -> Response:
        """Answer a conversation."""
        request = msgspec.json.decode(await _body(http), type=ChatRequest)
        prompt = await anyio.to_thread.run_sync(self._prompts.chat, request)
        wanted = request.max_completion_tokens or request.max_tokens
        left = self._service.side.model.context_length - len(prompt.ids)
        answer = wanted or max(1, min(CHAT_TOKENS, left))
        return await self._serve(http, user, request, prompt, answer, TaskKind.GENERATION)

    async def _serve(
        self, http: Request, user: User, request: GenerationRequest, prompt: TextPrompt, answer: int, usual: TaskKind
    ) -> Response:
        model = self._service.side.model
        if max(prompt.ids) >= model.vocabulary or min(prompt.ids) < 0:
            raise CallRejectedError("The prompt has tokens that the model does not know.")
        kind, service_class, seconds = request.deadline(usual)
        now = time.monotonic()
        slo = Slo(kind, service_class, now, math.inf if seconds is None else now + seconds, user.name)
        call = Call(
            prompt.ids,
            slo,
            answer,
            prompt.stop,
            request.temperature or 0.0,
            request.seed,
            prompt.forced_prefix,
            cache_salt=user.cache_salt,
        )
        is_chat = usual is TaskKind.GENERATION
        name = f"{'chatcmpl' if is_chat else 'cmpl'}-{uuid.uuid4().hex}"
        stops = StopText(request.stops, prompt.typed_blanks)
        running = self._service.submit(user, call)
        made = _Answer(running, stops, model.name, is_chat, request, name, int(time.time()))
        if request.stream:
            return await _streamed(made)
        return await _whole(made, http)


async def _texts(answer: _Answer) -> AsyncGenerator[tuple[str, str | None]]:
    """Yield the parts of the answer as they are generated; the last one has the reason for the end."""
    async for delta in answer.running.deltas():
        text = answer.stops.feed(delta.text, last=delta.finish_reason is not None)
        if answer.stops.stopped:
            yield text, "stop"
            return
        if text or delta.finish_reason is not None:
            yield text, delta.finish_reason


async def _whole(answer: _Answer, http: Request) -> Response:
    """Respond when the answer is complete. If the client disconnects, the call is aborted."""
    texts: list[str] = []
    finish: str | None = None
    failed: EngineError | None = None

    async def watch() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass
        answer.running.stream.cancel()

    try:
        async with answer.running, anyio.create_task_group() as group:
            group.start_soon(watch)
            async for text, reason in _texts(answer):
                texts.append(text)
                finish = reason
            group.cancel_scope.cancel()
    except* EngineError as errors:
        failed = _first(errors)
    if failed is not None:
        return _error(failed)
    body = answer.shown("".join(texts), finish or "abort", streamed=False)
    return JSONResponse({**body, "usage": answer.usage()})


async def _streamed(answer: _Answer) -> Response:
    """Stream the answer as server-sent events. An error before the first token is an HTTP error."""
    texts = _texts(answer)
    try:
        first = await anext(texts, None)
    except EngineError as error:
        answer.running.abort()
        return _error(error)
    except BaseException:
        answer.running.abort()
        raise

    async def events() -> AsyncGenerator[bytes]:
        try:
            async with answer.running:
                if first is not None:
                    yield _event(answer.shown(*first, streamed=True))
                async for text, reason in texts:
                    yield _event(answer.shown(text, reason, streamed=True))
                options = answer.request.stream_options
                if options is not None and options.include_usage:
                    last = answer.shown("", None, streamed=True)
                    yield _event({**last, "choices": [], "usage": answer.usage()})
        except EngineError as error:
            yield _event(_error_body(error))
        yield b"data: [DONE]\n\n"

    # If the client disconnects, the generator ends or never starts. In both cases the call must be aborted.
    return _AbortingResponse(events(), answer.running)


class _AbortingResponse(StreamingResponse):
    """A streaming response that aborts its call when it ends for any reason."""

    def __init__(self, events: AsyncGenerator[bytes], running: RunningCall) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._running = running

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._running.abort()


def _guarded(
    service: Service, handler: Callable[[Request, User], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Require a valid key, and report errors in OpenAI's format."""

    async def handle(request: Request) -> Response:
        user = service.user(request.headers.get("authorization"))
        if user is None:
            return _problem(401, "A key is needed as `api_key`: `cato-lsp keys add NAME` makes one.", "invalid_api_key")
        try:
            return await handler(request, user)
        except msgspec.DecodeError as error:
            return _problem(400, f"The request is not valid: {error}.", "invalid_request_error")
        except EngineError as error:
            return _error(error)
        except ClientDisconnect:
            return Response(status_code=499)

    return handle


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise CallRejectedError(f"The request is longer than {MOST_BYTES >> 20} MiB.", "Send less context.")
    return bytes(body)


def _first(errors: BaseExceptionGroup[EngineError]) -> EngineError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, EngineError)
    return error


def _error(error: EngineError) -> Response:
    status = 429 if isinstance(error, LimitError) else 400 if isinstance(error, CallRejectedError) else 503
    return JSONResponse(_error_body(error), status)


def _error_body(error: EngineError) -> dict[str, Any]:
    rejected = isinstance(error, CallRejectedError)
    kind = (
        "rate_limit_error" if isinstance(error, LimitError) else "invalid_request_error" if rejected else "unavailable"
    )
    return {"error": {"message": f"{error} {error.remedy}".strip(), "type": kind, "code": None, "param": None}}


def _problem(status: int, message: str, kind: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": kind, "code": kind, "param": None}}, status)


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"
