"""OpenAI's own client against the server."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from cato_lsp.engine.api import Call
from cato_lsp.gateway.keys import User
from cato_lsp.gateway.limits import Limits
from cato_lsp.gateway.running import RunningCall
from cato_lsp.gateway.stop_text import StopText
from cato_lsp.scheduling.slo import ServiceClass, TaskKind
from tests.remote.conftest import Team


def client(team: Team, key: str | None = None) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"http://127.0.0.1:{team.port}/v1", api_key=key or team.key("alice"), max_retries=0
    )


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
            with pytest.raises(openai.AuthenticationError, match="key"):
                await stranger.models.list()
        with pytest.raises(openai.BadRequestError, match="max_tokens"):
            await api.completions.create(model="bundled", prompt="x", max_tokens=1_000_000)
        with pytest.raises(openai.BadRequestError, match="temperature"):
            await api.completions.create(model="bundled", prompt="x", temperature=-1)
        with pytest.raises(openai.BadRequestError, match="does not know"):
            await api.completions.create(model="bundled", prompt=[2**30], max_tokens=1)
        with pytest.raises(openai.RateLimitError, match="at most 50"):
            await api.completions.create(model="bundled", prompt="word " * 100, max_tokens=1)


def test_a_stop_text_is_found_across_deltas_and_nothing_else_is_held_back() -> None:
    stops = StopText(["END"])
    assert [stops.feed("aE"), stops.feed("Nb"), stops.feed("xEND tail")] == ["a", "ENb", "x"]
    assert stops.stopped
    assert StopText(["END"]).feed("EN", last=True) == "EN"
    assert StopText([], skip="  ").feed("   x") == " x"
