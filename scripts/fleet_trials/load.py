"""Laptops that send calls to a fleet at a steady rate, and what becomes of the calls."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio

from cato_lsp.engine.api import Call, CallStream, EngineError
from cato_lsp.remote.engine import RemoteEngine, RemoteLaunch
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind


@dataclass(slots=True)
class Sent:
    """A call and its answer."""

    call: Call
    tokens: list[int] = field(default_factory=list[int])
    first: float | None = None
    ended: float | None = None
    error: EngineError | None = None
    finished: bool = False

    @property
    def met(self) -> bool:
        """Whether its deadline was met."""
        due = self.first if self.call.slo.service is ServiceClass.TTFT else self.ended
        return self.finished and due is not None and due <= self.call.slo.deadline


class Laptops:
    """Several connections, each with calls of its own."""

    def __init__(self, engines: list[RemoteEngine]) -> None:
        self.engines = engines
        self.sent: list[Sent] = []
        self.closed = False
        """Whether no more calls are sent."""
        self._random = random.Random(7)

    @property
    def resubmitted(self) -> int:
        """Calls that went on over another connection."""
        return sum(each.resubmitted for each in self.engines)

    async def send(self, service: ServiceClass, prompt: int, answer: int, seconds: float) -> None:
        """Send one call and read its answer. ``seconds``: its deadline from now."""
        now, number = time.monotonic(), self._random.randrange(len(self.engines))
        kind = TaskKind.COMPLETION if service is ServiceClass.TTFT else TaskKind.SUMMARIZATION
        ids = tuple(self._random.randrange(300, 1800) for _ in range(prompt))
        sent = Sent(Call(ids, Slo(kind, service, now, now + seconds, f"laptop-{number}"), answer))
        self.sent.append(sent)
        await read(self.engines[number].submit(sent.call), sent)

    async def at_rate(self, rate: float, service: ServiceClass, prompt: int, answer: int, seconds: float) -> None:
        """Send calls at random times, ``rate`` a second, until `closed`."""
        async with anyio.create_task_group() as group:
            while not self.closed:
                group.start_soon(self.send, service, prompt, answer, seconds)
                await anyio.sleep(self._random.expovariate(rate))

    async def differing(self) -> tuple[int, int]:
        """Send the finished calls again, one after the other, undisturbed: how many there are and how many differ."""
        different, finished = 0, [each for each in self.sent if each.finished]
        for each in finished:
            again = Sent(replace(each.call, slo=replace(each.call.slo, deadline=time.monotonic() + 3600)))
            await read(self.engines[0].submit(again.call), again)
            different += again.tokens != each.tokens
        return len(finished), different


async def read(stream: CallStream, into: Sent) -> None:
    """Read an answer to its end."""
    try:
        async with stream:
            async for delta in stream:
                into.first = into.first or time.monotonic()
                into.tokens += delta.token_ids
                into.finished = delta.finish_reason is not None
                into.ended = time.monotonic()
    except EngineError as error:
        into.error = error


@asynccontextmanager
async def laptops(url: str, folder: Path, count: int = 4) -> AsyncGenerator[Laptops]:
    """Connections of one user."""
    engines = [RemoteEngine(RemoteLaunch(url, cache=folder / "cache")) for _ in range(count)]
    for each in engines:
        await each.start()
    async with anyio.create_task_group() as group:
        for each in engines:
            group.start_soon(each.wait_closed)
        try:
            yield Laptops(engines)
        finally:
            for each in engines:
                each.stop()


def summary(sent: list[Sent]) -> str:
    """One line of counts."""
    errors = Counter(re.sub(r"\d+(\.\d+)?", "N", str(each.error)) for each in sent if each.error)
    said = "".join(f", {count} x {name}" for name, count in errors.items())
    waits = sorted(each.first - each.call.slo.arrival for each in sent if each.first is not None)
    first = f", first token p50 {1000 * waits[len(waits) // 2]:.0f} ms" if waits else ""
    done, met = sum(each.finished for each in sent), sum(each.met for each in sent)
    running = sum(not each.finished and each.error is None for each in sent)
    open_calls = f", {running} running" if running else ""
    return f"{len(sent)} calls, {done} answered{open_calls}, {met} by their deadline{first}{said}"
