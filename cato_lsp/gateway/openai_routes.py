"""Endpoints for OpenAI's clients, with the same keys, limits and scheduler: completions, chat, models."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cato_lsp.gateway.answers import respond
from cato_lsp.gateway.keys import User
from cato_lsp.gateway.openai_answers import OpenAIAnswer
from cato_lsp.gateway.openai_errors import RequestError
from cato_lsp.gateway.openai_prompts import ANSWER_TOKENS, TextPrompt, TextPrompts
from cato_lsp.gateway.openai_requests import ChatRequest, CompletionRequest, GenerationRequest
from cato_lsp.gateway.service import ServedModel, Service
from cato_lsp.gateway.stop_text import StopText
from cato_lsp.gateway.text_calls import check_supported, guarded, make_call, read_body, room_for_prompt, unknown_model
from cato_lsp.scheduling.slo import TaskKind

CHAT_TOKENS = 1024
"""Maximum tokens of a chat answer without ``max_tokens``."""


def openai_routes(service: Service, prompts: TextPrompts) -> list[Route]:
    """Make the routes."""
    endpoints = _Endpoints(service, prompts)
    return [
        Route("/v1/models", guarded(service, endpoints.models)),
        Route("/v1/models/{name:path}", guarded(service, endpoints.model)),
        Route("/v1/completions", guarded(service, endpoints.completions), methods=["POST"]),
        Route("/v1/chat/completions", guarded(service, endpoints.chat), methods=["POST"]),
        Route("/v1/{path:path}", guarded(service, endpoints.unknown), methods=["GET", "POST"]),
    ]


class _Endpoints:
    """The handlers of the routes. Each gets an authenticated user."""

    def __init__(self, service: Service, prompts: TextPrompts) -> None:
        self._service = service
        self._prompts = prompts

    async def models(self, _request: Request, _user: User) -> Response:
        """List the one model."""
        return JSONResponse({"object": "list", "data": [_entry(self._service.side.model)]})

    async def model(self, request: Request, _user: User) -> Response:
        """Describe the one model."""
        name, model = request.path_params["name"], self._service.side.model
        if name != model.name:
            raise unknown_model(name, model)
        return JSONResponse(_entry(model))

    async def unknown(self, request: Request, _user: User) -> Response:
        """Refuse other paths."""
        raise RequestError(
            f"This server has no {request.method} {request.url.path[:100]}.",
            "It has /v1/completions, /v1/chat/completions and /v1/models.",
            code="unknown_url",
            status=404,
        )

    async def completions(self, http: Request, user: User) -> Response:
        """Complete a text, or fill in the text between a prompt and a suffix."""
        request = msgspec.json.decode(await read_body(http), type=CompletionRequest)
        model = self._service.side.model
        check_supported(request, model)
        context = model.context_length
        answer = request.max_tokens or min(ANSWER_TOKENS, context // 2)
        prompt = await anyio.to_thread.run_sync(self._prompts.completion, request, room_for_prompt(answer, context))
        return await self._serve(http, user, request, prompt, answer, TaskKind.COMPLETION)

    async def chat(self, http: Request, user: User) -> Response:
        """Answer a conversation."""
        request = msgspec.json.decode(await read_body(http), type=ChatRequest)
        model = self._service.side.model
        check_supported(request, model)
        prompt = await anyio.to_thread.run_sync(self._prompts.chat, request)
        answer = request.max_completion_tokens or request.max_tokens or max(0, request.n_predict or 0)
        if not answer:
            answer = 1 if request.prefills else max(1, min(CHAT_TOKENS, model.context_length - len(prompt.ids)))
        return await self._serve(http, user, request, prompt, answer, TaskKind.GENERATION)

    async def _serve(
        self, http: Request, user: User, request: GenerationRequest, prompt: TextPrompt, answer: int, usual: TaskKind
    ) -> Response:
        model = self._service.side.model
        call = make_call(request, prompt, answer, usual, user, model)
        running = self._service.submit(user, call)
        form = OpenAIAnswer(running, model.name, request, chat=usual is TaskKind.GENERATION)
        stops = StopText(request.stops, prompt.typed_blanks)
        return await respond(http, running, stops, form, stream=request.stream)


def _entry(model: ServedModel) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": "cato-lsp",
        "max_model_len": model.context_length,
    }
