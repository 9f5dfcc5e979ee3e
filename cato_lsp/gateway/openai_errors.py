"""Errors in OpenAI's format: ``{"error": {message, type, param, code}}``, with one line that says what to do."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
from starlette.responses import JSONResponse, Response

from cato_lsp.engine.api import CallRejectedError, EngineError
from cato_lsp.gateway.limits import Limit, LimitError

INVALID_REQUEST = "invalid_request_error"
INVALID_API_KEY = "invalid_api_key"
MODEL_NOT_FOUND = "model_not_found"
CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
UNSUPPORTED_PARAMETER = "unsupported_parameter"

_FIELD = re.compile(r" - at `\$\.(\w+)|missing required field `(\w+)`")


class RequestError(CallRejectedError):
    """A request is refused.

    :param code: OpenAI's name of the reason.
    :param param: the field that is wrong.
    """

    def __init__(
        self, message: str, remedy: str = "", *, code: str | None = None, param: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message, remedy)
        self.code = code
        self.param = param
        self.status = status


def invalid(error: msgspec.DecodeError | UnicodeDecodeError | RecursionError) -> RequestError:
    """Convert an error of the JSON decoder."""
    if isinstance(error, msgspec.ValidationError):
        found = _FIELD.search(str(error))
        return RequestError(f"The request is not valid: {error}.", param=found[1] or found[2] if found else None)
    return RequestError("The request's body is not valid JSON.", "Send a JSON object in UTF-8.")


def error_response(error: EngineError) -> Response:
    """Return the HTTP response for an error."""
    headers: dict[str, str] = {}
    match error:
        case RequestError():
            status = error.status
        case LimitError(limit=Limit.PROMPT):
            status = 400
        case LimitError():
            status = 429
            headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
        case CallRejectedError():
            status = 400
        case _:
            status = 503
            headers["Retry-After"] = "1"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error_body(error), status, headers)


def error_body(error: EngineError) -> dict[str, Any]:
    """Return the JSON for an error."""
    kind, code, param = INVALID_REQUEST, None, None
    match error:
        case RequestError():
            code, param = error.code, error.param
        case LimitError(limit=Limit.PROMPT):
            code, param = CONTEXT_LENGTH_EXCEEDED, "prompt"
        case LimitError():
            kind, code = "tokens" if error.limit is Limit.TOKENS else "requests", RATE_LIMIT_EXCEEDED
        case CallRejectedError():
            pass
        case _:
            kind, code = "server_error", "service_unavailable"
    message = " ".join(f"{error} {error.remedy}".split())
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
