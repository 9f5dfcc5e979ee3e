#!/usr/bin/env python3
"""What a hop costs: the first token from an engine in this process, over a gateway, and over a fleet.

    PYTHONPATH=. python scripts/bench_fleet_hops.py [--calls 300]

Three engines with the bundled model, one thread each, answer the same calls in turn: 64 prompt tokens that are in the
prefix cache, and an answer that is cancelled after its first token. Gateway and replica run in processes of their own,
as they do on Ray, and are connected as they are there; Ray itself is not started, as no call passes it. Prints a
Markdown table, in ms. "Request" and "cancel" are the times until the engine's queue has them, on the machine's clock.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import anyio

from cato_lsp.config import EngineSettings
from cato_lsp.engine.api import Call, Engine
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.thread import EngineThread
from cato_lsp.fleet.gateway import FleetGateway
from cato_lsp.fleet.offer import Offer
from cato_lsp.fleet.replica import Replica
from cato_lsp.gateway.keys import KeyFile
from cato_lsp.gateway.server import ServeOptions, run_server
from cato_lsp.models.catalog import resolve_model
from cato_lsp.orchestrator.summary import percentile
from cato_lsp.remote.engine import RemoteEngine, RemoteLaunch
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

PROMPT = tuple(300 + 7 * i for i in range(64))
WARM = 20
"""Calls of each way that are not counted."""


def main() -> None:
    """Measure and print; or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300, help="calls of each way")
    parser.add_argument("--be", choices=("server", "replica", "gateway"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--keys", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be is None:
        print(f"Load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores.\n")
        print(table(anyio.run(measure, options.calls)))
        return
    timed(lambda what, at: print(json.dumps([what, at]), flush=True))
    anyio.run({"server": be_server, "replica": be_replica, "gateway": be_gateway}[options.be], options)


def launch() -> Launch:
    """How each engine starts."""
    choice = resolve_model("bundled")
    return Launch(choice.path, EngineSettings(threads=1, kv_cache_gb=0.25), choice.name)


def timed(note: Any) -> None:
    """Note when calls and cancels reach an engine's queue."""
    submit, cancel = EngineThread.submit, EngineThread._cancel

    def timed_submit(self: EngineThread, call: Call) -> Any:
        note("request", time.monotonic())
        return submit(self, call)

    def timed_cancel(self: EngineThread, stream: Any) -> None:
        note("cancel", time.monotonic())
        cancel(self, stream)

    EngineThread.submit, EngineThread._cancel = timed_submit, timed_cancel


async def be_server(options: argparse.Namespace) -> None:
    """`cato-lsp serve`."""
    await run_server(ServeOptions(launch(), options.keys, port=options.port))


async def be_replica(_options: argparse.Namespace) -> None:
    """A replica of a fleet. Prints its offer."""
    replica = Replica("one", "127.0.0.1", launch(), time.time())
    async with anyio.create_task_group() as group:
        group.start_soon(replica.run)
        await replica.ready.wait()
        while replica.offer is None:  # noqa: ASYNC110
            await anyio.sleep(0.05)
        print(json.dumps(["offer", replica.offer.to_map()]), flush=True)


async def be_gateway(options: argparse.Namespace) -> None:
    """A gateway of a fleet. Reads an offer."""
    gateway = FleetGateway(ServeOptions(launch(), options.keys, port=options.port))
    offer = Offer.from_map(json.loads(sys.stdin.readline()))
    async with anyio.create_task_group() as group:
        group.start_soon(gateway.run)
        await gateway.listening.wait()
        while True:
            gateway.offered(offer)
            await anyio.sleep(0.5)


class Way:
    """One way to an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.noted: list[tuple[str, Any]] = []
        self.figures: dict[str, list[float]] = defaultdict(list)

    def read(self, process: subprocess.Popen[str]) -> None:
        """Read what the engine's process notes."""
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("["):
                self.noted.append(cast("tuple[str, Any]", tuple(json.loads(line))))

    async def call(self, number: int) -> None:
        """One call; cancelled after its first token."""
        self.noted.clear()
        now = time.monotonic()
        slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, now, now + 5.0, "bench")
        stream = self.engine.submit(Call(PROMPT, slo, 200))
        async with stream:
            await anext(aiter(stream))
            first = time.monotonic()
            stream.cancel()
        while len(self.noted) < 2:  # noqa: ASYNC110
            await anyio.sleep(0.001)
        noted = dict(self.noted)
        # The next call finds the engine idle.
        await anyio.sleep(0.05)
        if number >= WARM:
            self.figures["first"].append(first - now)
            self.figures["request"].append(noted["request"] - now)
            self.figures["cancel"].append(noted["cancel"] - first)


@contextmanager
def process(kind: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    """A process of this script, until the context is left."""
    command = [sys.executable, __file__, "--be", kind, *arguments]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield child
    finally:
        child.terminate()
        child.wait(30)


async def measure(calls: int) -> dict[str, Way]:
    """Measure the ways in turn, so that the load of the machine is the same for all."""
    folder = Path(tempfile.mkdtemp(prefix="cato-hops-"))
    keys = KeyFile(folder / "keys.json")
    os.environ["CATO_KEY"] = keys.add("bench")
    async with AsyncExitStack() as stack:
        local = EngineThread(launch(), lambda _stage: None)
        here = Way(local)
        timed(lambda what, at: here.noted.append((what, at)))
        await local.start()
        stack.push_async_callback(ended, local)
        one, two = free_port(), free_port()
        server = stack.enter_context(process("server", "--port", str(one), "--keys", str(keys.path)))
        replica = stack.enter_context(process("replica"))
        gateway = stack.enter_context(process("gateway", "--port", str(two), "--keys", str(keys.path)))
        served, fleet = (
            Way(await connected(stack, one, folder)),
            Way(await connected(stack, two, folder, replica, gateway)),
        )
        for way, child in ((served, server), (fleet, replica)):
            threading.Thread(target=way.read, args=(child,), daemon=True).start()
        ways = {"in process": here, "gateway, loopback": served, "fleet: gateway + replica": fleet}
        for number in range(WARM + calls):
            for way in ways.values():
                await way.call(number)
    return ways


async def ended(engine: EngineThread) -> None:
    """Stop an engine."""
    engine.stop()
    await engine.wait_closed()


async def connected(
    stack: AsyncExitStack,
    port: int,
    folder: Path,
    replica: subprocess.Popen[str] | None = None,
    gateway: subprocess.Popen[str] | None = None,
) -> RemoteEngine:
    """A laptop, once its server has loaded the model. A fleet's gateway gets the replica's offer."""
    if replica is not None and gateway is not None:
        assert replica.stdout is not None
        assert gateway.stdin is not None
        _, offer = json.loads(await anyio.to_thread.run_sync(replica.stdout.readline))
        gateway.stdin.write(json.dumps(offer) + "\n")
        gateway.stdin.flush()
    while True:
        engine = RemoteEngine(RemoteLaunch(f"ws://127.0.0.1:{port}", cache=folder))
        try:
            await engine.start()
            break
        except Exception:
            await anyio.sleep(0.5)
    group = await stack.enter_async_context(anyio.create_task_group())
    group.start_soon(engine.wait_closed)
    stack.callback(group.cancel_scope.cancel)
    return engine


def free_port() -> int:
    """A port that nothing listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def table(ways: dict[str, Way]) -> str:
    """Format the figures."""
    lines = [
        "| way to the engine | first token p50 / p95 | added, p50 | request p50 / p95 | cancel p50 / p95 |",
        "|---|---|---|---|---|",
    ]
    base = percentile(ways["in process"].figures["first"], 50)
    for name, way in ways.items():
        figures = {what: [1000 * percentile(each, share) for share in (50, 95)] for what, each in way.figures.items()}
        first, request, cancel = (figures[what] for what in ("first", "request", "cancel"))
        more = first[0] - 1000 * base
        lines.append(
            f"| {name} | {first[0]:.1f} / {first[1]:.1f} | {more:.1f} | {request[0]:.2f} / {request[1]:.2f} | "
            f"{cancel[0]:.2f} / {cancel[1]:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
