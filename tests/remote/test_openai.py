"""OpenAI's own client against the server."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import openai
import pytest

from cato_lsp.engine.api import Call
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.engine.thread import EngineThread
from cato_lsp.gateway.keys import User
from cato_lsp.gateway.limits import Limits
from cato_lsp.gateway.openai_requests import MOST_BYTES
from cato_lsp.gateway.running import RunningCall
from cato_lsp.gateway.stop_text import StopText
from cato_lsp.scheduling.slo import ServiceClass, TaskKind
from tests.conftest import make_call
from tests.remote.conftest import Team

LONG = list(make_call().prompt_ids)
"""A prompt whose answer takes the model a while."""


def client(team: Team, key: str | None = None) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"http://127.0.0.1:{team.port}/v1", api_key=key or team.key("alice"), max_retries=0
    )


async def post(team: Team, path: str, body: bytes) -> tuple[int, Mapping[str, str], Any]:
    """Send any bytes as alice; return the status, the headers and what the JSON says."""

    def send() -> tuple[int, Mapping[str, str], Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{team.port}{path}", body, {"Authorization": f"Bearer {team.key('alice')}"}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.load(error)

    return await anyio.to_thread.run_sync(send)


async def test_models_and_completions(team: Team) -> None:
    async with team.server(), client(team) as api:
        models = await api.models.list()
        assert [model.id for model in models.data] == ["bundled"]
        filled = await api.completions.create(
            model="bundled", prompt="def add(a, b):\n    return ", suffix="\n\nprint(add(1, 2))\n", max_tokens=12
        )
        assert filled.choices[0].text.strip()
        assert filled.usage is not None
        assert filled.usage.completion_tokens > 0


async def test_a_streamed_answer_equals_the_whole_answer(team: Team) -> None:
    async with team.server() as gateway, client(team) as api:
        asked = {"model": "bundled", "prompt": "import os\n\ndef main():\n", "max_tokens": 16, "temperature": 0}
        whole = await api.completions.create(**asked)
        text, finish = "", None
        async for part in await api.completions.create(**asked, stream=True):
            text += part.choices[0].text
            finish = part.choices[0].finish_reason or finish
        assert (text, finish) == (whole.choices[0].text, whole.choices[0].finish_reason)
        stop = text.strip()[2:4]
        stopped = await api.completions.create(**asked, stop=[stop])
        assert stopped.choices[0].text == text[: text.index(stop)]
        assert stopped.choices[0].finish_reason == "stop"
        await gateway.service.idle()


async def test_a_streamed_chat_answer_equals_the_whole_answer(team: Team) -> None:
    async with team.server() as gateway, client(team) as api:
        asked: dict[str, Any] = {
            "model": "bundled",
            "messages": [{"role": "system", "content": "Answer in Python."}, {"role": "user", "content": "Say hello"}],
            "max_completion_tokens": 8,
            "temperature": 0,
        }
        whole = await api.chat.completions.create(**asked)
        text, finish, usage = "", None, None
        async for part in await api.chat.completions.create(
            **asked, stream=True, stream_options={"include_usage": True}
        ):
            for choice in part.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
            usage = part.usage or usage
        assert (text, finish) == (whole.choices[0].message.content, whole.choices[0].finish_reason)
        assert whole.usage is not None
        assert usage is not None
        assert 0 < usage.completion_tokens == whole.usage.completion_tokens <= 8
        await gateway.service.idle()


@pytest.mark.parametrize(
    "extra",
    [
        {"cato_kind": "summarization", "cato_slack_ms": 5000},
        {"vllm_xargs": {"cato_kind": "summarization", "cato_slack_ms": 5000}},
    ],
    ids=["own fields", "vllm_xargs"],
)
async def test_a_deadline_reaches_the_scheduler(
    team: Team, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]
) -> None:
    calls: list[Call] = []
    async with team.server() as gateway, client(team) as api:
        submit = gateway.service.submit

        def record(user: User, call: Call) -> RunningCall:
            calls.append(call)
            return submit(user, call)

        monkeypatch.setattr(gateway.service, "submit", record)
        await api.completions.create(model="bundled", prompt="x = 1\n", max_tokens=2, extra_body=extra)
    (call,) = calls
    slo = call.slo
    assert (slo.kind, slo.service, slo.client) == (TaskKind.SUMMARIZATION, ServiceClass.E2E, "alice")
    assert slo.deadline - slo.arrival == pytest.approx(5)


async def test_errors_have_the_openai_format(team: Team) -> None:
    async with team.server(limits=Limits(prompt=50)), client(team) as api:
        async with client(team, "cato-wrong") as stranger:
            with pytest.raises(openai.AuthenticationError) as unknown:
                await stranger.models.list()
            assert (unknown.value.type, unknown.value.code) == ("invalid_request_error", "invalid_api_key")
        assert (await api.models.retrieve("bundled")).id == "bundled"
        for ask in (api.models.retrieve("gpt-5"), api.completions.create(model="gpt-5", prompt="x")):
            with pytest.raises(openai.NotFoundError, match="bundled") as missing:
                await ask
            assert missing.value.code == "model_not_found"
        wrong: list[tuple[dict[str, Any], str | None, str | None, str]] = [
            ({"prompt": "x", "max_tokens": 1_000_000}, "context_length_exceeded", "max_tokens", "no room"),
            ({"prompt": [5] * 5000}, "context_length_exceeded", "prompt", "shorter prompt"),
            ({"prompt": "word " * 5000}, "context_length_exceeded", "prompt", "shorter prompt"),
            ({"prompt": "word " * 100, "max_tokens": 1}, "context_length_exceeded", "prompt", "at most 50"),
            ({"prompt": "x", "temperature": -1}, None, "temperature", "float"),
            ({"prompt": "x", "max_tokens": "many"}, None, "max_tokens", "int"),
            ({"prompt": "x", "extra_body": {"cato_kind": "poem"}}, None, "cato_kind", "poem"),
            ({"prompt": "x", "extra_body": {"vllm_xargs": {"cato_slack_ms": "soon"}}}, None, None, "float"),
            ({"prompt": ["x", "y"]}, None, "prompt", "several"),
            ({"prompt": [2**30], "max_tokens": 1}, None, None, "does not know"),
            ({"prompt": "x", "logprobs": 3}, "unsupported_parameter", "logprobs", "Leave it out"),
            ({"prompt": "x", "echo": True}, "unsupported_parameter", "echo", "Leave it out"),
            ({"prompt": "x", "n": 2}, None, "n", "int"),
            ({"prompt": "x", "stop": "x" * 201}, None, "stop", "length"),
        ]
        for request, code, param, words in wrong:
            with pytest.raises(openai.BadRequestError, match=words) as bad:
                await api.completions.create(model="bundled", **request)
            error = bad.value
            assert (error.type, error.code, error.param) == ("invalid_request_error", code, param), request
            assert "\n" not in error.message
        with pytest.raises(openai.BadRequestError, match="logprobs"):
            await api.chat.completions.create(
                model="bundled", messages=[{"role": "user", "content": "x"}], logprobs=True
            )


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
async def test_what_is_not_json_is_refused_in_one_line(team: Team, path: str) -> None:
    nested = b'{"prompt": "x", "messages": [{"role": "user"}], "vllm_xargs": {"x": ' + b"[" * 100_000
    async with team.server():
        for body in (b"", b"{", b"[]", b"\xff\xfe", b'{"prompt": "\xff"}', b'{"prompt": "\\ud800"}', nested):
            status, _, answer = await post(team, path, body)
            assert (status, answer["error"]["type"]) == (400, "invalid_request_error"), body[:20]
            assert "\n" not in answer["error"]["message"]
        status, _, answer = await post(team, path, b" " * (MOST_BYTES + 1))
        assert (status, answer["error"]["type"]) == (413, "invalid_request_error")
        status, _, answer = await post(team, "/v1/embeddings", b"{}")
        assert (status, answer["error"]["code"]) == (404, "unknown_url")


async def test_too_many_requests_are_refused_with_the_time_to_wait(team: Team) -> None:
    async with team.server(limits=Limits(calls=1)) as gateway, client(team) as api:
        asked: dict[str, Any] = {"model": "bundled", "prompt": LONG}
        stream = await api.completions.create(**asked, max_tokens=400, stream=True)
        with pytest.raises(openai.RateLimitError, match="1 calls in flight") as refused:
            await api.completions.create(**asked)
        assert (refused.value.type, refused.value.code) == ("requests", "rate_limit_exceeded")
        assert refused.value.response.headers["retry-after"] == "1"
        await stream.close()
        await gateway.service.idle()
    async with team.server(limits=Limits(rate=0.001)), client(team) as api:
        with pytest.raises(openai.RateLimitError, match="per second") as refused:
            await api.completions.create(**asked)
        assert int(refused.value.response.headers["retry-after"]) > 1


async def test_a_client_that_leaves_ends_its_call_in_the_engine(team: Team) -> None:
    async with team.server() as gateway, client(team) as api:
        stream = await api.completions.create(model="bundled", prompt=LONG, max_tokens=1000, stream=True)
        async for _ in stream:
            break
        (running,) = gateway.service.running
        await stream.close()
        await gateway.service.idle()
        usage = running.stream.usage
        with anyio.fail_after(60):
            while usage.abort_latency_steps is None:
                await anyio.sleep(0.01)
        assert usage.tokens_after_cancel == 0
        assert running.tokens < 1000


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_before_the_first_token_ends_its_call(
    team: Team, engine: EngineThread, monkeypatch: pytest.MonkeyPatch, *, stream: bool
) -> None:
    cancelled = anyio.Event()

    def submit(call: Call) -> ThreadCallStream:
        return ThreadCallStream("silent", call, lambda _: cancelled.set())

    async with team.server() as gateway, client(team) as api:
        monkeypatch.setattr(engine, "submit", submit)
        async with anyio.create_task_group() as group:
            ask = partial(api.completions.create, model="bundled", prompt="x", stream=stream)
            group.start_soon(ask)
            with anyio.fail_after(60):
                while not gateway.service.running:
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        with anyio.fail_after(60):
            await cancelled.wait()
        await gateway.service.idle()


async def test_a_revoked_key_ends_its_streams(team: Team) -> None:
    async with team.server() as gateway, client(team) as api:
        stream = await api.completions.create(model="bundled", prompt=LONG, max_tokens=1000, stream=True)
        await anext(stream)
        team.keys.revoke("alice")
        gateway.service.reload_keys()
        with pytest.raises(openai.APIError, match="revoked"):
            [part async for part in stream]
        await gateway.service.idle()


async def test_prompt_caches_are_shared_within_a_team_only(team: Team) -> None:
    async def cached(user: str) -> int | None:
        async with client(team, team.key(user)) as api:
            answer = await api.completions.create(model="bundled", prompt=LONG, max_tokens=1)
            assert answer.usage is not None
            assert answer.usage.prompt_tokens_details is not None
            return answer.usage.prompt_tokens_details.cached_tokens

    async with team.server():
        assert await cached("alice") == 0
        assert await cached("alice")
        assert await cached("bob") == 0


async def test_a_stream_can_be_accumulated_by_the_client(team: Team) -> None:
    async with team.server(), client(team) as api:
        messages: list[Any] = [{"role": "user", "content": "Say hello"}]
        async with api.chat.completions.stream(model="bundled", messages=messages, max_tokens=4) as stream:
            *_, last = [event.snapshot async for event in stream if event.type == "chunk"]
        assert last.choices[0].message.role == "assistant"
        assert last.choices[0].finish_reason in ("stop", "length")


def test_a_stop_text_is_found_across_deltas_and_nothing_else_is_held_back() -> None:
    stops = StopText(["END"])
    assert [stops.feed("aE"), stops.feed("Nb"), stops.feed("xEND tail")] == ["a", "ENb", "x"]
    assert stops.stopped
    assert StopText(["END"]).feed("EN", last=True) == "EN"
    assert StopText([], skip="  ").feed("   x") == " x"
