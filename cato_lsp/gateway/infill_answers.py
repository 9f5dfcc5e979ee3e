"""The responses of ``/infill``."""

from __future__ import annotations

import time
from typing import Any, cast

from cato_lsp.gateway.answers import event
from cato_lsp.gateway.infill_end import InfillEnd
from cato_lsp.gateway.infill_requests import InfillRequest
from cato_lsp.gateway.running import RunningCall


class InfillAnswer:
    """Writes an answer as llama.cpp's server does, without the fields that describe its own samplers and slots.

    :param model: name of the model.
    :param end: what ended the answer.
    """

    def __init__(self, running: RunningCall, model: str, request: InfillRequest, end: InfillEnd) -> None:
        self._running = running
        self._model = model
        self._request = request
        self._end = end
        self._lines = False

    def whole(self, text: str, finish: str) -> dict[str, Any]:
        """The response of a request that does not stream."""
        return self._last("" if self._request.prefills else text, finish)

    def part(self, text: str, finish: str | None) -> dict[str, Any]:  # noqa: ARG002
        """The event with the next part of the text."""
        self._lines = self._lines or "\n" in text
        return {"index": 0, "content": "" if self._request.prefills else text, "stop": False, **self._counts()}

    def closing(self, finish: str) -> list[bytes]:
        """The event after the last part."""
        return [event(self._last("", finish))]

    def _counts(self) -> dict[str, int]:
        running = self._running
        return {
            "tokens_predicted": 0 if self._request.prefills else running.tokens,
            "tokens_evaluated": len(running.call.prompt_ids),
        }

    def _last(self, text: str, finish: str) -> dict[str, Any]:
        if finish == "stop":
            kind = "word" if self._end.at_stop_text else "limit" if self._end.stopped else "eos"
        else:
            kind = "limit" if finish == "length" else "none"
        body = {
            "index": 0,
            "content": text,
            "stop": True,
            "stop_type": kind,
            "model": self._model,
            **self._counts(),
            "tokens_cached": self._running.cached,
            "has_new_line": self._lines or "\n" in text,
            "timings": self._timings(),
        }
        if (wanted := self._request.response_fields) is None:
            return body
        found = {path: _field(body, path) for path in wanted}
        return {path: value for path, value in found.items() if value is not None}

    def _timings(self) -> dict[str, float]:
        running = self._running
        now = time.monotonic()
        first = now if running.first_token is None else running.first_token
        return {
            **_speed("prompt", len(running.call.prompt_ids) - running.cached, first - running.call.slo.arrival),
            **_speed("predicted", running.tokens, now - first),
        }


def _speed(name: str, tokens: int, seconds: float) -> dict[str, float]:
    return {
        f"{name}_n": tokens,
        f"{name}_ms": 1000 * seconds,
        f"{name}_per_token_ms": 1000 * seconds / max(1, tokens),
        f"{name}_per_second": tokens / max(1e-6, seconds),
    }


def _field(body: dict[str, Any], path: str) -> Any:
    value: Any = body
    for name in path.split("/"):
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    return value
