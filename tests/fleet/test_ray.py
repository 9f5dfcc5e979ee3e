"""A fleet of two engines on a real Ray cluster, as `cato-lsp fleet up` starts it, and laptops that connect to it."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from pydantic import ValidationError

from cato_lsp.engine.api import Call, CallStream, EngineError
from cato_lsp.engine.thread import EngineThread
from cato_lsp.gateway.keys import KeyFile
from cato_lsp.gateway.top import ask
from cato_lsp.remote.engine import RemoteEngine, RemoteLaunch
from cato_lsp.scheduling.slo import ServiceClass
from tests.conftest import make_call

pytest.importorskip("ray")

# The live engine is the reference. Named by all tests, so that they run one after the other, on one cluster.
pytestmark = [pytest.mark.usefixtures("backend"), pytest.mark.timeout(600)]
START = 400.0
"""Seconds that a loaded machine may take to start Ray and two engines."""
LONG = 1200
"""Tokens of an answer during which something happens."""


class Fleet:
    """The running fleet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = KeyFile(folder / "keys.json")
        self.key = self.keys.add("alice")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"ws://127.0.0.1:{self.port}"
        config = folder / "config" / "cato-lsp"
        config.mkdir(parents=True)
        (config / "cato.toml").write_text('model = "bundled"\n[engine]\nthreads = 1\nkv_cache_gb = 0.25\n')
        self._environment = os.environ | {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            # It must start a Ray of its own, whatever else runs here.
            "RAY_ADDRESS": "127.0.0.1:1",
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cato_lsp", "fleet", *arguments]

    def start(self) -> subprocess.Popen[bytes]:
        arguments = ("up", "--replicas", "2", "--port", str(self.port), "--keys", str(self.keys.path))
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(self.command(*arguments), stderr=log, stdout=log, env=self._environment)

    def ask(self, *arguments: str) -> str:
        result = subprocess.run(
            self.command(*arguments), env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )
        return result.stdout + result.stderr

    def overview(self) -> dict[str, Any]:
        return ask(self.url, self.key)

    def up(self) -> dict[str, Any]:
        """The replicas that take calls, by name."""
        return self.overview()["fleet"]["replicas"]

    def counter(self, name: str) -> int:
        """A counter of the gateway."""
        headers = {"Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/metrics", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            found = re.search(rf"^{name} (\S+)", response.read().decode(), re.MULTILINE)
        assert found is not None
        return int(float(found[1]))

    def process_of(self, address: str) -> psutil.Process:
        """The process that listens at an address of this machine."""
        port = int(address.rpartition(":")[2])
        for each in psutil.process_iter():
            try:
                if any(c.laddr.port == port and c.status == "LISTEN" for c in each.net_connections("tcp")):
                    return each
            except psutil.Error:
                continue
        raise AssertionError(f"Nothing listens at {address}")

    @asynccontextmanager
    async def laptop(self) -> AsyncGenerator[RemoteEngine]:
        engine = RemoteEngine(RemoteLaunch(self.url, cache=self.folder / "cache"))
        await engine.start()
        async with anyio.create_task_group() as group:
            group.start_soon(engine.wait_closed)
            try:
                yield engine
            finally:
                engine.stop()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One fleet for all tests. Its end leaves no process."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    process = fleet.start()
    tree: list[psutil.Process] = []
    try:
        wait_sync(lambda: process.poll() is not None or (fleet.folder / "state/cato-lsp/fleet.json").exists())
        assert process.poll() is None, (fleet.folder / "log").read_text()
        wait_sync(lambda: len(fleet.up()) == 2)
        yield fleet
        tree = psutil.Process(process.pid).children(recursive=True)
        assert "has stopped" in fleet.ask("down")
        assert process.wait(START) == 0
        _, alive = psutil.wait_procs(tree, START)
        assert not alive
    finally:
        if process.poll() is None:
            tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for each in tree:
            if each.is_running():
                each.kill()


@pytest.fixture(autouse=True)
def _key(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATO_KEY", fleet.key)


def wait_sync(state: Callable[[], bool]) -> None:
    """Wait for a state of the fleet."""
    end = time.monotonic() + START
    while not state():
        assert time.monotonic() < end, "It did not come to this in time."
        time.sleep(0.1)


async def wait(state: Callable[[], bool]) -> None:
    await anyio.to_thread.run_sync(wait_sync, state)


async def answer(stream: CallStream) -> tuple[str, list[int]]:
    text, tokens = "", list[int]()
    async with stream:
        async for delta in stream:
            text += delta.text
            tokens += delta.token_ids
    return text, tokens


def patient_call(max_tokens: int, first: int = 300) -> Call:
    """A call whose deadline no test reaches, from a moment at which nothing else runs."""
    call = make_call(max_tokens=max_tokens, first=first, service=ServiceClass.E2E)
    return replace(call, slo=replace(call.slo, deadline=call.slo.arrival + 3600))


def busy(fleet: Fleet) -> list[str]:
    """The addresses of the replicas that run a call."""
    return [each["address"] for each in fleet.up().values() if each["stats"]["calls_running"]]


async def test_a_laptop_gets_the_same_answer_as_from_an_engine_of_its_own(fleet: Fleet, engine: EngineThread) -> None:
    async with fleet.laptop() as laptop:
        for first in (300, 400, 500):
            call = patient_call(16, first)
            assert await answer(laptop.submit(call)) == await answer(engine.submit(call))
        assert laptop.context_length == engine.context_length


async def test_an_unknown_key_is_refused(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATO_KEY", "cato-unknown")
    with pytest.raises(EngineError, match="does not know your key"):
        await RemoteEngine(RemoteLaunch(fleet.url, cache=fleet.folder / "cache")).start()


async def test_an_engine_is_reached_by_gateways_only(fleet: Fleet) -> None:
    address = next(iter(fleet.up().values()))["address"]
    with pytest.raises(EngineError, match="does not know your key"):
        await RemoteEngine(RemoteLaunch(f"ws://{address}", cache=fleet.folder / "cache")).start()


async def test_leaving_a_call_aborts_it_in_the_engine(fleet: Fleet) -> None:
    async with fleet.laptop() as laptop:
        stream = laptop.submit(patient_call(1000))
        async with stream:
            async for _ in stream:
                break
        with anyio.fail_after(60):
            while stream.usage.abort_latency_steps is None:
                await anyio.sleep(0.01)
        assert stream.usage.tokens_computed > 0
        assert stream.usage.tokens_after_cancel == 0
        await wait(lambda: not busy(fleet))


class Interrupted:
    """A call whose replica something happens to in mid-answer."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.text, self.tokens = "", list[int]()
        self.process: psutil.Process | None = None
        self._ended = False

    async def run(self, call: Call, happens: Callable[[psutil.Process], None]) -> None:
        """Read the answer; in its first half, let something happen to the process that writes it.

        Which one that is, is told late: if the answer is further by then, it is asked for again.
        """
        moved = self.fleet.counter("cato_moved_calls_total")
        while self.process is None:
            await self._read(call, happens)
        assert self.fleet.counter("cato_moved_calls_total") == moved + 1, "It was in mid-answer."

    async def _read(self, call: Call, happens: Callable[[psutil.Process], None]) -> None:
        await wait(lambda: not busy(self.fleet))
        self.text, self.tokens, self._ended = "", [], False
        async with self.fleet.laptop() as laptop, laptop.submit(call) as stream, anyio.create_task_group() as group:
            group.start_soon(self._interrupt, call, happens)
            async for delta in stream:
                self.text += delta.text
                self.tokens += delta.token_ids
            self._ended = True
            assert laptop.resubmitted == 0, "The laptop sees nothing but a pause."

    async def _interrupt(self, call: Call, happens: Callable[[psutil.Process], None]) -> None:
        processes = {each["address"]: self.fleet.process_of(each["address"]) for each in self.fleet.up().values()}
        await wait(lambda: self._ended or bool(self.text and busy(self.fleet)))
        writing = busy(self.fleet)
        if writing and len(self.tokens) < call.max_tokens / 2:
            self.process = processes[writing[0]]
            happens(self.process)


_answers: list[tuple[str, list[int]]] = []


async def undisturbed(engine: EngineThread) -> tuple[str, list[int]]:
    """The answer to the long call that tests disturb."""
    if not _answers:
        _answers.append(await answer(engine.submit(patient_call(LONG))))
    return _answers[0]


async def test_killing_a_replica_costs_no_token_and_it_is_replaced(fleet: Fleet, engine: EngineThread) -> None:
    await wait(lambda: len(fleet.up()) == 2)
    before = set(fleet.up())
    call = patient_call(LONG)
    wanted = await undisturbed(engine)
    interrupted = Interrupted(fleet)
    await interrupted.run(call, lambda process: process.send_signal(signal.SIGKILL))
    assert (interrupted.text, interrupted.tokens) == wanted
    await wait(lambda: len(fleet.up()) == 2)
    assert len(before & set(fleet.up())) == 1


async def test_a_silent_replica_loses_its_calls_to_others_and_comes_back(fleet: Fleet, engine: EngineThread) -> None:
    await wait(lambda: len(fleet.up()) == 2)
    call = patient_call(LONG)
    wanted = await undisturbed(engine)
    interrupted = Interrupted(fleet)
    await interrupted.run(call, psutil.Process.suspend)
    assert (interrupted.text, interrupted.tokens) == wanted
    assert interrupted.process is not None
    # Ray may have replaced it in the meantime.
    with contextlib.suppress(psutil.NoSuchProcess):
        interrupted.process.resume()
    await wait(lambda: len(fleet.up()) == 2)


async def test_a_call_of_a_silent_replica_is_answered_by_a_second_one_before_its_deadline(fleet: Fleet) -> None:
    await wait(lambda: len(fleet.up()) == 2 and not busy(fleet))
    call = patient_call(8, first=600)
    hedged = fleet.counter("cato_hedged_calls_total")
    async with fleet.laptop() as laptop:
        wanted = await answer(laptop.submit(call))
        # One of the two has the prompt in its cache and gets the call again. It counts as lost after 4 s, which a busy
        # gateway may find first.
        for number in itertools.count():
            assert number < 8, "No call was sent to a second replica."
            await wait(lambda: len(fleet.up()) == 2)
            process = fleet.process_of(sorted(each["address"] for each in fleet.up().values())[number % 2])
            process.suspend()
            try:
                now = time.monotonic()
                urgent = replace(call, slo=replace(call.slo, service=ServiceClass.TTFT, arrival=now, deadline=now + 4))
                assert await answer(laptop.submit(urgent)) == wanted
            finally:
                process.resume()
            if fleet.counter("cato_hedged_calls_total") > hedged:
                break
    await wait(lambda: len(fleet.up()) == 2)


def test_status_shows_the_replicas(fleet: Fleet) -> None:
    wait_sync(lambda: "Engine\t2 running" in (shown := fleet.ask("status")) and "2 of 2 replicas" in shown)
    shown = fleet.ask("status")
    assert fleet.url in shown
    assert all(each["address"] in shown for each in fleet.up().values())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_arguments_of_a_config_file_make_the_application() -> None:
    # As Ray imports it and passes them.
    app: Any = importlib.import_module("cato_lsp.fleet").app
    app({"model": "bundled", "replicas": 1, "max_replicas": 2, "gateway_resources": {"gateway": 1}})
    with pytest.raises(ValidationError, match="replicaz"):
        app({"replicaz": 1})


def test_a_second_fleet_is_refused(fleet: Fleet) -> None:
    assert "A fleet is running" in fleet.ask("up", "--keys", str(fleet.keys.path))
