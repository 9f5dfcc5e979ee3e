"""The responses of ``/v1/completions`` and ``/v1/chat/completions``."""

from __future__ import annotations

import time
import uuid
from typing import Any

from cato_lsp.gateway.answers import event
from cato_lsp.gateway.openai_requests import GenerationRequest
from cato_lsp.gateway.running import RunningCall

DONE = b"data: [DONE]\n\n"


class OpenAIAnswer:
    """Writes an answer in OpenAI's format.

    :param model: name of the model.
    :param chat: whether it answers a conversation.
    """

    def __init__(self, running: RunningCall, model: str, request: GenerationRequest, *, chat: bool) -> None:
        self._running = running
        self._chat = chat
        self._with_usage = request.stream_options is not None and request.stream_options.include_usage
        self._begun = False
        self._name = f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._model = model

    def whole(self, text: str, finish: str) -> dict[str, Any]:
        """The response of a request that does not stream."""
        content = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        return {**self._frame(content, finish, chunk=False), "usage": self._usage()}

    def part(self, text: str, finish: str | None) -> dict[str, Any]:
        """The event with the next part of the text."""
        if self._chat:
            # Clients concatenate the strings of all parts, the role's too.
            role = {} if self._begun else {"role": "assistant"}
            content = {"delta": {**role, "content": text}}
        else:
            content = {"text": text}
        self._begun = True
        return self._frame(content, finish, chunk=True) | ({"usage": None} if self._with_usage else {})

    def closing(self, finish: str) -> list[bytes]:  # noqa: ARG002
        """The events after the last part: the token counts, if they were asked for, and the end."""
        if not self._with_usage:
            return [DONE]
        return [event({**self._frame({}, None, chunk=True), "choices": [], "usage": self._usage()}), DONE]

    def _frame(self, content: dict[str, Any], finish: str | None, *, chunk: bool) -> dict[str, Any]:
        kind = "chat.completion" if self._chat else "text_completion"
        return {
            "id": self._name,
            "object": f"{kind}.chunk" if chunk and self._chat else kind,
            "created": self._created,
            "model": self._model,
            "choices": [{"index": 0, "finish_reason": finish, "logprobs": None, **content}],
        }

    def _usage(self) -> dict[str, Any]:
        prompt = len(self._running.call.prompt_ids)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": self._running.tokens,
            "total_tokens": prompt + self._running.tokens,
            "prompt_tokens_details": {"cached_tokens": self._running.cached},
        }
