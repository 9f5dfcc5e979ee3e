#!/usr/bin/env python3
"""Time to the first token of short prompts beside long ones, in vLLM's own API server: our scheduler and vLLM's.

    PYTHONPATH=. python scripts/bench_api_server.py [--rounds 3] [--seconds 20]

Both servers run at the same time and get the same requests in turns, so that a busy machine is as busy for both.
Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import openai
from api_server import CATO, MODEL, api_server

from cato_lsp.orchestrator.summary import percentile

LONG_TOKENS, LONG_ANSWER, LONG_IN_FLIGHT = 3500, 64, 4
SHORT_TOKENS, SHORT_ANSWER = 100, 8
LONG = {"cato_kind": "translation", "cato_slack_ms": 45_000}
SHORT = {"cato_kind": "completion", "cato_slack_ms": 200}


@dataclass(slots=True)
class Seen:
    """What the clients of one server saw."""

    first: list[float] = field(default_factory=list[float])
    """Seconds to the first token of short prompts."""
    longs: int = 0
    """Long requests that were answered while short ones came."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds for each server")
    parser.add_argument("--seconds", type=float, default=20.0, help="arrivals of a round")
    parser.add_argument("--rate", type=float, default=2.0, help="short prompts per second")
    options = parser.parse_args()
    schedulers = {"vLLM's scheduler": None, "`CatoScheduler`": CATO}
    seen = {name: Seen() for name in schedulers}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        addresses = {
            name: stack.enter_context(api_server(Path(folder) / f"{number}.log", scheduler))
            for number, (name, scheduler) in enumerate(schedulers.items())
        }
        load = os.getloadavg()[0]
        for number in range(options.rounds):
            for name, address in addresses.items():
                anyio.run(play, address, seen[name], number, options)
    print(f"Load average at the start {load:.1f}, {os.cpu_count()} cores.\n\n{table(seen)}")


async def play(address: str, seen: Seen, number: int, options: argparse.Namespace) -> None:
    """One round: long requests all the time, short ones at random moments."""
    moments, prompts = random.Random(number), random.Random(f"{number} prompts")
    async with (
        openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=600) as api,
        anyio.create_task_group() as longs,
    ):
        for _ in range(LONG_IN_FLIGHT):
            longs.start_soon(_long, api, seen, prompts)
        await anyio.sleep(1)
        async with anyio.create_task_group() as shorts:
            end = time.monotonic() + options.seconds
            while time.monotonic() < end:
                shorts.start_soon(_short, api, seen, _prompt(prompts, SHORT_TOKENS))
                await anyio.sleep(moments.expovariate(options.rate))
        longs.cancel_scope.cancel()


async def _long(api: openai.AsyncOpenAI, seen: Seen, prompts: random.Random) -> None:
    while True:
        await api.completions.create(**_request(_prompt(prompts, LONG_TOKENS), LONG_ANSWER, LONG))
        seen.longs += 1


async def _short(api: openai.AsyncOpenAI, seen: Seen, prompt: list[int]) -> None:
    start, first = time.monotonic(), None
    async for _ in await api.completions.create(**_request(prompt, SHORT_ANSWER, SHORT), stream=True):
        first = first or time.monotonic() - start
    if first is not None:
        seen.first.append(first)


def _prompt(source: random.Random, tokens: int) -> list[int]:
    """A prompt that shares no prefix with others."""
    return [source.randrange(300, 1800) for _ in range(tokens)]


def _request(prompt: list[int], answer: int, xargs: dict[str, Any]) -> dict[str, Any]:
    extra = {"ignore_eos": True, "vllm_xargs": xargs}
    return {"model": MODEL, "prompt": prompt, "max_tokens": answer, "temperature": 0, "extra_body": extra}


def table(seen: dict[str, Seen]) -> str:
    """The figures of both servers."""
    rows = [
        "| | TTFT of short prompts, P50, s | P95, s | within 200 ms | short prompts | long answers |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in seen.items():
        p50, p95 = (percentile(each.first, percent) or 0.0 for percent in (50, 95))
        within = sum(first <= 0.2 for first in each.first) / max(1, len(each.first))
        rows.append(f"| {name} | {p50:.2f} | {p95:.2f} | {within:.0%} | {len(each.first)} | {each.longs} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
