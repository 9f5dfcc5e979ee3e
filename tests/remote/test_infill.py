"""llama.cpp's /infill, with the fields that llama.vim and llama.vscode send."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import anyio.to_thread
import msgspec
import pytest

from cato_lsp.engine.api import Call
from cato_lsp.gateway.keys import User
from cato_lsp.gateway.running import RunningCall
from cato_lsp.scheduling.slo import ServiceClass, TaskKind
from tests.remote.conftest import Team
from tests.remote.test_openai import post

REQUEST: dict[str, Any] = {
    "id_slot": 0,
    "input_prefix": "def add(first, second):\n",
    "prompt": "    return ",
    "input_suffix": "\n\n\nprint(add(1, 2))\n",
    "input_extra": [{"filename": "other.py", "text": "def subtract(first, second):\r\n    return first - second\n"}],
    "n_predict": 16,
    "stop": [],
    "n_indent": 4,
    "top_k": 40,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "model": "",
}
FIELDS = ["content", "timings/prompt_n", "timings/predicted_ms", "tokens_cached", "truncated"]


async def ask(team: Team, **fields: Any) -> tuple[int, Any]:
    status, _, answer = await post(team, "/infill", json.dumps(REQUEST | fields).encode())
    return status, answer


async def test_a_gap_is_filled_whole_and_streamed(team: Team) -> None:
    def stream() -> list[dict[str, Any]]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{team.port}/infill",
            json.dumps(REQUEST | {"stream": True}).encode(),
            {"Authorization": f"Bearer {team.key('alice')}"},
        )
        with urllib.request.urlopen(request) as answer:
            return [json.loads(line.removeprefix(b"data: ")) for line in answer if line.strip()]

    async with team.server() as gateway:
        status, whole = await ask(team)
        assert status == 200
        assert whole["content"].strip()
        assert whole["stop"] is True
        assert whole["stop_type"] in ("eos", "limit")
        assert 0 < whole["tokens_predicted"] <= 16
        *parts, last = await anyio.to_thread.run_sync(stream)
        assert "".join(part["content"] for part in parts) == whole["content"]
        assert not any(part["stop"] for part in parts)
        assert last["stop"] is True
        assert last["content"] == ""
        assert last["stop_type"] == whole["stop_type"]
        _, chosen = await ask(team, response_fields=FIELDS)
        assert chosen.keys() == {"content", "timings/prompt_n", "timings/predicted_ms", "tokens_cached"}
        assert chosen["content"] == whole["content"]
        await gateway.service.idle()


async def test_a_request_without_an_answer_prefills_in_the_background(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Call] = []
    async with team.server() as gateway:
        submit = gateway.service.submit

        def record(user: User, call: Call) -> RunningCall:
            calls.append(call)
            return submit(user, call)

        monkeypatch.setattr(gateway.service, "submit", record)
        assert await ask(team, n_predict=0, response_fields=[""]) == (200, {})
        status, answer = await ask(team, n_predict=-1)
        assert status == 200
        assert answer["content"]
        # llama.vim prefills conversations, too.
        chat = {"messages": [{"role": "user", "content": "x"}], "n_predict": 0, "samplers": [], "stream": False}
        status, _, answer = await post(team, "/v1/chat/completions", json.dumps(chat).encode())
        assert status == 200
        assert answer["usage"]["completion_tokens"] == 1
    background = (TaskKind.WARMUP, ServiceClass.BACKGROUND)
    kinds = [(call.slo.kind, call.slo.service) for call in calls]
    assert kinds == [background, (TaskKind.COMPLETION, ServiceClass.TTFT), background]
    assert [call.max_tokens for call in calls if call.slo.kind is TaskKind.WARMUP] == [1, 1]
    assert calls[0].prompt_ids == calls[1].prompt_ids


async def test_wrong_requests_are_refused_in_one_line(team: Team) -> None:
    async with team.server():
        for fields in (
            {"input_prefix": 5},
            {"input_extra": [{"filename": "x"}]},
            {"n_predict": "many"},
            {"echo": True},
        ):
            status, answer = await ask(team, **fields)
            assert (status, answer["error"]["type"]) == (400, "invalid_request_error"), fields
            assert "\n" not in answer["error"]["message"]
        status, answer = await ask(team, n_predict=100_000)
        assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
        status, _, answer = await post(team, "/infill", msgspec.json.encode({"input_prefix": "x"}))
        assert (status, answer["error"]["param"]) == (400, "input_suffix")
