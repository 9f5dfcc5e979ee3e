"""The simulated laptops of `soak_team.py`: a process that types, asks and cancels until its standard input ends.

It gets its task as JSON and prints one JSON line with what became of its requests.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from keystrokes.recording import Kind, Recording
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from cato_lsp.engine.api import Call, CallRejectedError, CallUsage, EngineError
from cato_lsp.engine.host import EngineHost, EnginePhase
from cato_lsp.remote import engine as remote_engine
from cato_lsp.remote.engine import RemoteEngine, RemoteLaunch
from cato_lsp.remote.messages import PATH, Hello, encode
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.fim import FimPromptBuilder
from cato_lsp.tasks.model_format import read_model_format

RECORDINGS = Path(__file__).resolve().parent / "keystrokes" / "recordings"
ASK_PAUSE, LONGEST_PAUSE = 0.25, 2.0
"""Seconds: a pause after which a person is asked for a suggestion; longer pauses of the recording are cut."""
ANSWER, GREEDY_ANSWER, GREEDY_PROMPT, GREEDY_CALLS = 24, 100, 400, 30
DEADLINE = 0.2
UNAVAILABLE_PAUSE = 1.0


@dataclass(slots=True)
class Seen:
    """What became of a laptop's requests. Each ends exactly once."""

    asked: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    """``finished``, ``cancelled`` (by the laptop), ``refused`` (a limit), ``unavailable`` (no server)."""
    first: list[tuple[float, float | None]] = field(default_factory=list[tuple[float, "float | None"]])
    """When requests were made (monotonic clock), and the seconds to their first token, if there was one."""
    unusual: list[str] = field(default_factory=list[str])
    """Answers that ended twice, not at all, or with too many tokens."""
    usages: list[CallUsage] = field(default_factory=list[CallUsage])
    resubmitted: int = 0

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "asked": self.asked,
            "outcomes": self.outcomes,
            "first": self.first,
            "unusual": self.unusual,
            "after_cancel": sum(usage.tokens_after_cancel for usage in self.usages),
            "resubmitted": self.resubmitted,
        }


class Laptop:
    """One user's connection and open requests."""

    def __init__(self, name: str, launch: RemoteLaunch) -> None:
        self.name = name
        self.seen = Seen()
        self._host = EngineHost()
        self._launch = launch
        self._engines: set[RemoteEngine] = set()

    async def run(self, work: Any) -> None:
        """Connect, and work until cancelled."""
        ready = anyio.Event()
        self._host.watch(lambda status: ready.set() if status.phase is EnginePhase.READY else None)
        async with anyio.create_task_group() as group:
            group.start_soon(self._host.run)
            self._host.configure(self._launch)
            await ready.wait()
            await work(self)
            group.cancel_scope.cancel()

    @property
    def folder(self) -> Path:
        """The downloaded tokenizer."""
        return self._host.engine.folder.path

    async def ask(self, prompt: tuple[int, ...], answer: int) -> None:
        """Make one request, and note how it ends."""
        now = time.monotonic()
        slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, now, now + DEADLINE, self.name)
        self.seen.asked += 1
        outcome, finishes, tokens = "cancelled", 0, 0
        first: float | None = None
        try:
            engine = self._host.engine
            assert isinstance(engine, RemoteEngine)
            self._engines.add(engine)
            async with engine.submit(Call(prompt, slo, answer)) as stream:
                self.seen.usages.append(stream.usage)
                async for delta in stream:
                    first = time.monotonic() - now if first is None else first
                    tokens += delta.tokens
                    finishes += delta.finish_reason is not None
            outcome = "finished"
            if finishes != 1 or tokens > answer:
                self.seen.unusual.append(f"{self.name}: {finishes} ends, {tokens} of {answer} tokens")
        except CallRejectedError:
            outcome = "refused"
        except EngineError:
            outcome = "unavailable"
            await anyio.sleep(UNAVAILABLE_PAUSE)
        finally:
            self.seen.outcomes[outcome] += 1
            self.seen.first.append((now, first))

    def report(self) -> dict[str, Any]:
        """What became of its requests."""
        self.seen.resubmitted = sum(engine.resubmitted for engine in self._engines)
        return self.seen.report()


async def type_on(laptop: Laptop) -> None:
    """Type a recorded session, from a place of its own, again and again. Each request supersedes the last."""
    form = await anyio.to_thread.run_sync(read_model_format, laptop.folder)
    builder = FimPromptBuilder(form.tokenizer, form.family, form.family.prompt_tokens or 1500)
    chance = random.Random(laptop.name)
    recording = Recording.load(chance.choice(sorted(RECORDINGS.glob("*.gz"))))
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:

        async def request(text: str, cursor: int, scope: anyio.CancelScope) -> None:
            with scope:
                await laptop.ask(tuple(builder.build(text, cursor, path=recording.name).ids), ANSWER)

        while True:
            start = chance.randrange(max(1, len(recording.keys) - 500))
            for (key, text), (following, _) in pairwise(islice(recording.states(), start, start + 500)):
                pause = (following.time - key.time) / 1000
                if key.kind is not Kind.MOVE and pause >= ASK_PAUSE:
                    scope.cancel()
                    scope = anyio.CancelScope()
                    group.start_soon(request, text, key.cursor, scope)
                await anyio.sleep(min(pause, LONGEST_PAUSE))


async def take_all(laptop: Laptop) -> None:
    """Keep as many long requests in flight as the server allows, all of them urgent, no two alike."""
    chance = random.Random(laptop.name)

    async def one() -> None:
        while True:
            began = time.monotonic()
            await laptop.ask(tuple(chance.randrange(300, 1800) for _ in range(GREEDY_PROMPT)), GREEDY_ANSWER)
            await anyio.sleep(max(0.0, 0.1 - (time.monotonic() - began)))

    async with anyio.create_task_group() as group:
        for _ in range(GREEDY_CALLS):
            group.start_soon(one)


async def send_garbage(url: str, key: str | None) -> int:
    """Connect and send nonsense until cancelled; return how often."""
    chance = random.Random(7)
    times = 0
    with anyio.CancelScope():
        while True:
            try:
                headers = {"Authorization": f"Bearer {key}"} if chance.random() < 0.8 else None
                async with connect(f"{url}{PATH}", additional_headers=headers, compression=None) as socket:
                    if chance.random() < 0.7:
                        await socket.send(encode(Hello()))
                    await socket.send(chance.randbytes(chance.choice((1, 100, 10_000, 5_000_000))))
                    with anyio.move_on_after(2):
                        while True:
                            await socket.recv()
            except (OSError, WebSocketException, EOFError):
                pass
            times += 1
            await anyio.sleep(0.2)
    return times


async def main() -> None:
    """Run the laptops of the task until standard input ends."""
    task: dict[str, Any] = json.loads(sys.argv[1])
    url = task["url"]
    # The key of each laptop, by its address; only host and port of it are used to connect.
    keys = {f"{url}/{name}": key for name, key in task["keys"].items()}
    remote_engine.find_key = keys.__getitem__
    works = {"type": type_on, "greedy": take_all}
    laptops = [Laptop(name, RemoteLaunch(f"{url}/{name}", cache=Path(task["cache"]))) for name in sorted(task["keys"])]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with anyio.create_task_group() as group:
        if task["work"] == "garbage":
            group.start_soon(send_garbage, url, next(iter(task["keys"].values())))
        else:
            for laptop in laptops:
                group.start_soon(laptop.run, works[task["work"]])
        await reader.read()
        group.cancel_scope.cancel()
    print(json.dumps({laptop.name: laptop.report() for laptop in laptops}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    anyio.run(main)
