#!/usr/bin/env python3
"""What the way to a team's server costs: first token, whole answer and cancel, in process and over a connection.

    PYTHONPATH=. python scripts/bench_team.py [--calls 200] [--delay 30]

One engine answers the same prompts in turns in its own process, and for laptops in another process: unencrypted, with
TLS, and with TLS through a relay that delays all data by so many ms in each direction. No way finds another's prompts
in the cache. All times are of one machine's clock. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import trustme

from cato_lsp.config import EngineSettings
from cato_lsp.engine.api import Call, CallStream
from cato_lsp.engine.host import EngineHost, EnginePhase
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.gateway.keys import KeyFile
from cato_lsp.gateway.limits import Limits
from cato_lsp.gateway.server import Gateway, HostedEngine, ServeOptions
from cato_lsp.models.catalog import resolve_model
from cato_lsp.orchestrator.summary import percentile
from cato_lsp.remote.engine import RemoteEngine, RemoteLaunch
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

PROMPT, ANSWER, CANCELLED_AFTER = 300, 24, 4
PAUSE = 0.02
"""Seconds between calls, in which the engine drops the last one."""
IN_PROCESS, PLAIN, TLS = "in process", "loopback", "loopback, TLS"


@dataclass(slots=True)
class Times:
    """Seconds of each call of one way."""

    first: list[float] = field(default_factory=list[float])
    whole: list[float] = field(default_factory=list[float])
    cancel: list[float] = field(default_factory=list[float])
    """From the laptop's cancel until it is in the engine's queue."""
    deadline: list[float] = field(default_factory=list[float])
    """How much later the deadline is for the engine than for the laptop; negative: earlier."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200, help="calls of each way")
    parser.add_argument("--delay", type=float, default=30.0, help="ms that the relay adds in each direction")
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine")
    parser.add_argument("--laptop", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.laptop:
        anyio.run(laptop, options.laptop)
        return
    load = os.getloadavg()[0]
    times = anyio.run(measure, options)
    print(f"Load average at the start {load:.1f}, {os.cpu_count()} cores, {options.calls} calls each way.\n")
    print(table(times))


def table(times: dict[str, Times]) -> str:
    """A row for each way, in ms. On a busy machine, the tenth percentile is what comes next to an idle one."""
    rows = ["| way | first token, P10 | P50 | P95 | whole answer, P50 | P95 | cancel, P50 | P95 | deadline off, P95 |"]
    rows.append("|---" * 9 + "|")
    for name, each in times.items():
        figures = [
            f"{1000 * (percentile(values, percent) or 0.0):.1f}"
            for values, percents in ((each.first, (10, 50, 95)), (each.whole, (50, 95)), (each.cancel, (50, 95)))
            for percent in percents
        ]
        off = percentile([abs(value) for value in each.deadline], 95) or 0.0
        rows.append(f"| {name} | {' | '.join(figures)} | {1000 * off:.1f} |")
    return "\n".join(rows)


def make_call(number: int, max_tokens: int) -> Call:
    """A call with a deadline; no two numbers share a prefix."""
    now = time.monotonic()
    prompt = tuple(300 + (number * 7919 + place * 7) % 1500 for place in range(PROMPT))
    return Call(prompt, Slo(TaskKind.COMPLETION, ServiceClass.TTFT, now, now + 0.2, "bench"), max_tokens)


async def timed(stream: CallStream, began: float) -> tuple[float, float]:
    """Seconds to the first token and to the last."""
    first = 0.0
    async with stream:
        async for _ in stream:
            first = first or time.monotonic() - began
    return first, time.monotonic() - began


async def cancelled(stream: CallStream) -> float:
    """Cancel a call in mid-answer; return when."""
    tokens = 0
    async with stream:
        async for delta in stream:
            tokens += delta.tokens
            if tokens >= CANCELLED_AFTER:
                break
        return time.monotonic()


class Engine(HostedEngine):
    """The engine, which notes when cancels are in its queue, and the deadlines of its calls."""

    def __init__(self, host: EngineHost, launch: Launch) -> None:
        super().__init__(host, launch)
        self.cancelled_at: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.deadline = 0.0

    def watch(self) -> None:
        """Begin to note."""
        engine = self.engine
        submit = engine.submit

        def watched(call: Call) -> CallStream:
            stream = submit(call)
            assert isinstance(stream, ThreadCallStream)
            queue = stream._on_cancel
            self.cancelled_at = asyncio.get_running_loop().create_future()
            self.deadline = call.slo.deadline

            def note(which: ThreadCallStream) -> None:
                queue(which)
                self.cancelled_at.set_result(time.monotonic())

            stream._on_cancel = note
            return stream

        engine.submit = watched  # type: ignore[method-assign]


class Laptop:
    """The process of the laptops; it does what it reads, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, task: dict[str, Any], environment: dict[str, str]) -> Laptop:
        """Start it, and wait until it has connected on all ways."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            "--laptop",
            json.dumps(task),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | environment,
        )
        self = cls(process)
        await self._read()
        return self

    async def do(self, way: str, number: int, *, cancel: bool) -> dict[str, float]:
        """Let it make one call."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"way": way, "number": number, "cancel": cancel}).encode() + b"\n")
        return await self._read()

    async def _read(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the laptop's process has ended"
        return json.loads(line)

    async def end(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def laptop(task: str) -> None:
    """The laptops' process: connect to each address, then make the calls that standard input asks for."""
    engines: dict[str, RemoteEngine] = {}
    settings = json.loads(task)
    async with anyio.create_task_group() as group:
        for way, (url, key) in settings["ways"].items():
            os.environ["CATO_KEY"] = key
            engines[way] = RemoteEngine(RemoteLaunch(url, cache=Path(settings["cache"])))
            await engines[way].start()
            group.start_soon(engines[way].wait_closed)
        await anyio.sleep(1)  # the first pings measure the round trip
        print("{}", flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            wanted = json.loads(line)
            engine = engines[wanted["way"]]
            call = make_call(wanted["number"], 400 if wanted["cancel"] else ANSWER)
            stream = engine.submit(call)
            done: dict[str, float] = {"deadline": call.slo.deadline}
            if wanted["cancel"]:
                done["cancelled"] = await cancelled(stream)
            else:
                done["first"], done["whole"] = await timed(stream, call.slo.arrival)
            print(json.dumps(done), flush=True)
        for engine in engines.values():
            engine.stop()


@asynccontextmanager
async def relay(port: int, delay: float) -> AsyncGenerator[int]:
    """Forward connections to a port; every byte arrives ``delay`` seconds later. Yields the relay's port."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def write() -> None:
            while True:
                moment, data = await due.get()
                await asyncio.sleep(max(0.0, moment - time.monotonic()))
                if not data:
                    writer.close()
                    return
                writer.write(data)

        writing = asyncio.create_task(write())
        data = b"-"
        while data:
            try:
                data = await reader.read(1 << 16)
            except OSError:
                data = b""
            due.put_nowait((time.monotonic() + delay, data))
        await writing

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def served(side: Engine, keys: KeyFile, options: ServeOptions) -> AsyncGenerator[Gateway]:
    """A gateway on the engine."""
    gateway = Gateway(options, keys, side)
    async with anyio.create_task_group() as group:
        group.start_soon(gateway.run)
        await gateway.listening.wait()
        yield gateway
        await gateway.stop(grace=0)


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Make a certificate: its file, its key's and its authority's."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert, key, trust = folder / "cert.pem", folder / "key.pem", folder / "authority.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(trust)
    return cert, key, trust


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def measure(options: argparse.Namespace) -> dict[str, Times]:
    """Start engine, servers, relay and laptops, and time the calls of each way in turns."""
    launch = Launch(resolve_model("bundled").path, EngineSettings(threads=options.threads, kv_cache_gb=0.25), "bundled")
    host = EngineHost()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = KeyFile(folder / "keys.json")
        delayed = f"{TLS}, {options.delay:.0f} ms each way"
        secrets = {way: keys.add(f"user-{n}", f"team-{n}") for n, way in enumerate((PLAIN, TLS, delayed))}
        cert, key, trust = certificates(folder)
        plain = ServeOptions(launch, keys.path, port=free_port(), limits=Limits(rate=10_000))
        encrypted = replace(plain, port=free_port(), tls_cert=cert, tls_key=key)
        async with anyio.create_task_group() as group:
            group.start_soon(host.run)
            ready = anyio.Event()
            host.watch(lambda status: ready.set() if status.phase is EnginePhase.READY else None)
            host.configure(launch)
            await ready.wait()
            side = Engine(host, launch)
            side.watch()
            async with (
                served(side, keys, plain),
                served(side, keys, encrypted),
                relay(encrypted.port, options.delay / 1000) as slow,
            ):
                urls = {
                    PLAIN: f"ws://127.0.0.1:{plain.port}",
                    TLS: f"wss://127.0.0.1:{encrypted.port}",
                    delayed: f"wss://127.0.0.1:{slow}",
                }
                task = {"ways": {way: (url, secrets[way]) for way, url in urls.items()}, "cache": str(folder / "cache")}
                remote = await Laptop.start(task, {"SSL_CERT_FILE": str(trust)})
                times = await in_turns(side, remote, [IN_PROCESS, *urls], options.calls)
                await remote.end()
            engine = host.engine
            group.cancel_scope.cancel()
        await engine.wait_closed()
    return times


async def in_turns(side: Engine, remote: Laptop, ways: list[str], calls: int) -> dict[str, Times]:
    """Time all ways with one prompt after the other; the first ones warm up."""
    times: defaultdict[str, Times] = defaultdict(Times)
    warm_up = 5
    for number in range(calls + warm_up):
        for way in ways:
            seen = times[way] if number >= warm_up else Times()
            for cancel in (False, True):
                if way == IN_PROCESS:
                    done = await in_process(side, 2 * number + cancel, cancel=cancel)
                else:
                    done = await remote.do(way, 2 * number + cancel, cancel=cancel)
                seen.deadline.append(side.deadline - done["deadline"])
                if cancel:
                    # An answer that ends before the cancel arrives is not cancelled: do not wait for ever.
                    with anyio.move_on_after(5):
                        seen.cancel.append(await side.cancelled_at - done["cancelled"])
                else:
                    seen.first.append(done["first"])
                    seen.whole.append(done["whole"])
                await anyio.sleep(PAUSE)
    return dict(times)


async def in_process(side: Engine, number: int, *, cancel: bool) -> dict[str, float]:
    """One call without a connection."""
    call = make_call(number, 400 if cancel else ANSWER)
    stream = side.engine.submit(call)
    if cancel:
        return {"deadline": call.slo.deadline, "cancelled": await cancelled(stream)}
    first, whole = await timed(stream, call.slo.arrival)
    return {"deadline": call.slo.deadline, "first": first, "whole": whole}


if __name__ == "__main__":
    main()
