"""Calls of clients that send text: the steps that all their endpoints share."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from cato_lsp.engine.api import Call, CallRejectedError, EngineError
from cato_lsp.gateway.answers import GONE
from cato_lsp.gateway.keys import User
from cato_lsp.gateway.openai_errors import (
    CONTEXT_LENGTH_EXCEEDED,
    INVALID_API_KEY,
    MODEL_NOT_FOUND,
    UNSUPPORTED_PARAMETER,
    RequestError,
    error_response,
    invalid,
)
from cato_lsp.gateway.openai_prompts import TextPrompt
from cato_lsp.gateway.openai_requests import MOST_BYTES, GenerationRequest
from cato_lsp.gateway.service import ServedModel, Service
from cato_lsp.scheduling.slo import Slo, TaskKind


def guarded(
    service: Service, handler: Callable[[Request, User], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Require a valid key, and report errors in OpenAI's format."""

    async def handle(request: Request) -> Response:
        try:
            user = service.user(request.headers.get("authorization"))
            if user is None:
                raise RequestError(
                    "A key is needed as `api_key`: `cato-lsp keys add NAME` makes one.",
                    code=INVALID_API_KEY,
                    status=401,
                )
            return await handler(request, user)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return error_response(invalid(error))
        except EngineError as error:
            return error_response(error)
        except ClientDisconnect:
            return Response(status_code=GONE)

    return handle


async def read_body(http: Request) -> bytes:
    """Read a request's body.

    Raises:
        RequestError: it is too long.
        ClientDisconnect: the client has gone.
    """
    body = bytearray()
    async for part in http.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise RequestError(f"The request is longer than {MOST_BYTES >> 20} MiB.", "Send less context.", status=413)
    return bytes(body)


def check_supported(request: GenerationRequest, model: ServedModel) -> None:
    """Refuse another model, and fields whose effect a client would miss.

    Raises:
        RequestError: the request has one of them.
    """
    if request.model not in ("", model.name):
        raise unknown_model(request.model, model)
    if (field := request.unsupported()) is not None:
        raise RequestError(
            f"This server does not support `{field}`.",
            "Leave it out.",
            code=UNSUPPORTED_PARAMETER,
            param=field,
        )


def unknown_model(name: str, model: ServedModel) -> RequestError:
    """The error for a model that is not served."""
    shown = name if len(name) <= 100 else f"{name[:100]}..."
    return RequestError(
        f"The model {shown} is not served here.",
        f"Ask for {model.name}.",
        code=MODEL_NOT_FOUND,
        param="model",
        status=404,
    )


def make_call(
    request: GenerationRequest, prompt: TextPrompt, answer: int, usual: TaskKind, user: User, model: ServedModel
) -> Call:
    """Make the call for a request.

    :param answer: maximum number of tokens of the answer.
    :param usual: the kind of requests that do not say theirs.

    Raises:
        CallRejectedError: prompt and answer do not fit the model.
    """
    hidden = len(prompt.forced_prefix.hidden_ids) if prompt.forced_prefix else 0
    if len(prompt.ids) + hidden + answer > model.context_length:
        raise RequestError(
            f"The prompt has {len(prompt.ids)} tokens and the answer may have {answer}; "
            f"the model's context window has {model.context_length}.",
            "Send a shorter prompt, or lower `max_tokens`.",
            code=CONTEXT_LENGTH_EXCEEDED,
            param="prompt" if usual is TaskKind.COMPLETION else "messages",
        )
    if max(prompt.ids) >= model.vocabulary or min(prompt.ids) < 0:
        raise CallRejectedError("The prompt has tokens that the model does not know.")
    kind, service, seconds = request.deadline(usual)
    now = time.monotonic()
    slo = Slo(kind, service, now, math.inf if seconds is None else now + seconds, user.name)
    return Call(
        prompt.ids,
        slo,
        answer,
        prompt.stop,
        request.temperature or 0.0,
        request.seed,
        prompt.forced_prefix,
        cache_salt=user.cache_salt,
    )


def room_for_prompt(answer: int, context_length: int) -> int:
    """The tokens that an answer leaves for its prompt.

    Raises:
        RequestError: there are none.
    """
    room = context_length - answer
    if room < 1:
        raise RequestError(
            f"`max_tokens` leaves no room for a prompt in a context window of {context_length} tokens.",
            "Lower it.",
            code=CONTEXT_LENGTH_EXCEEDED,
            param="max_tokens",
        )
    return room
