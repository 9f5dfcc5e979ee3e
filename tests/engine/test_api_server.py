"""Our scheduler in vLLM's own API server: a real process that serves the bundled model over HTTP."""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import openai
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from api_server import CATO, MODEL, api_server

NEEDED = ("jmespath", "model_hosting_container_standards", "prometheus_fastapi_instrumentator", "watchfiles")
pytestmark = [
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in NEEDED),
        reason="what vLLM's API server needs is not installed",
    ),
    # Importing vLLM in a new process, on a loaded machine.
    pytest.mark.timeout(900),
]
LONG = {"cato_slack_ms": 60_000, "cato_kind": "translation"}
SHORT = {"cato_slack_ms": 200, "cato_kind": "completion"}
PATIENCE = 300


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server. Its steps are small, so that a long prompt takes many."""
    log = tmp_path_factory.mktemp("api-server") / "log"
    with api_server(log, CATO, "--max-num-batched-tokens", "128", "--max-num-seqs", "16") as address:
        yield address


def client(address: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=PATIENCE)


def asked(prompt: str | list[int], tokens: int, xargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a completion with a deadline."""
    extra = {"vllm_xargs": xargs, "ignore_eos": True}
    return {"model": MODEL, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "extra_body": extra}


async def metric(address: str, name: str) -> float:
    """A metric of the server, all labels together."""
    async with client(address) as api:
        text = await api.get(f"{address}/metrics", cast_to=str)
    return sum(map(float, re.findall(rf"^vllm:{name}(?:,.*)?}}? (\S+)$", text, re.MULTILINE)))


async def test_a_completion_overtakes_long_prompts(address: str) -> None:
    numbers = itertools.count()
    running: set[int] = set()
    done = anyio.Event()
    async with client(address) as api, anyio.create_task_group() as group:

        async def long() -> None:
            while not done.is_set():  # however slow the machine is, there are long prompts when the short one comes
                number = next(numbers)
                running.add(number)
                prompt = [300 + (number * 997 + i * 7) % 1500 for i in range(2500)]
                await api.completions.create(**asked(prompt, 2, LONG))
                running.remove(number)

        for _ in range(6):
            group.start_soon(long)
        with anyio.fail_after(PATIENCE):
            while not await metric(address, r"num_requests_running\{.*"):
                pass
        ahead = running.copy()
        await api.completions.create(**asked("def add(a, b):\n    return ", 2, SHORT))
        overtaken = ahead & running
        done.set()
    assert overtaken


async def test_a_closed_stream_ends_its_request(address: str) -> None:
    generated = r"generation_tokens_total\{.*"
    before = await metric(address, generated)
    async with client(address) as api:
        stream = await api.completions.create(**asked("import os\n", 4000, SHORT), stream=True)
        async for _ in stream:
            break
        await stream.close()
        with anyio.fail_after(PATIENCE):
            # vLLM counts at each step, so another request makes it count.
            running = 1.0
            while running:
                await api.completions.create(**asked("x", 1, SHORT))
                running = await metric(address, r"num_requests_running\{.*")
    assert await metric(address, generated) - before < 4000


@pytest.mark.parametrize(
    "xargs",
    [
        {"cato_slack_ms": "soon"},
        {"cato_slack_ms": 200, "cato_kind": "novel"},
        {"cato_slack_ms": [1, 2]},
        {"cato_slack_ms": -5, "cato_client": 7},
        {},
    ],
    ids=str,
)
async def test_a_request_with_wrong_values_is_served(address: str, xargs: dict[str, Any]) -> None:
    async with client(address) as api:
        answer = await api.completions.create(**asked("x = ", 3, xargs))
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3
