"""Calls over the wire, on the live engine."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from cato_lsp.engine.api import CallRejectedError, CallStream, EngineError, ForcedPrefix
from cato_lsp.engine.thread import EngineThread
from cato_lsp.gateway.server import open_port
from cato_lsp.remote.engine import RemoteEngine
from cato_lsp.tasks.healing import Healer
from cato_lsp.tasks.tokenizer import Tokenizer
from tests.conftest import make_call
from tests.remote.conftest import Team


async def answer(stream: CallStream) -> tuple[str, list[int]]:
    """The whole text of a call and its tokens."""
    text, tokens = "", list[int]()
    async with stream:
        async for delta in stream:
            text += delta.text
            tokens += delta.token_ids
    return text, tokens


async def test_a_remote_call_answers_like_a_local_one(team: Team, engine: EngineThread) -> None:
    async with team.server(), team.laptop() as remote:
        assert await answer(remote.submit(make_call())) == await answer(engine.submit(make_call()))
        assert remote.context_length == engine.context_length
        assert (remote.folder.path / "tokenizer.json").read_bytes() == (
            engine.folder.path / "tokenizer.json"
        ).read_bytes()


async def test_a_tokenizer_is_fetched_once(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    stages: list[str] = []
    async with team.server():
        for _ in range(2):
            remote = team.remote()
            remote._on_stage = stages.append
            await remote.start()
            remote.stop()
    assert sum("Fetching" in stage for stage in stages) == 1


async def test_calls_share_one_connection(team: Team) -> None:
    texts: list[str] = []

    async def one(remote: RemoteEngine, first: int) -> None:
        texts.append((await answer(remote.submit(make_call(first=first))))[0])

    async with team.server() as gateway, team.laptop() as remote:
        async with anyio.create_task_group() as group:
            for first in range(300, 308):
                group.start_soon(one, remote, first)
        assert gateway.service.open_connections == 1
    assert len(texts) == 8


async def test_a_cancelled_call_ends_on_the_server_and_its_cost_is_known(team: Team) -> None:
    async with team.server() as gateway, team.laptop() as remote:
        stream = remote.submit(make_call(max_tokens=400))
        async with stream:
            async for _ in stream:
                break
        await gateway.service.idle()
        with anyio.fail_after(60):
            while stream.usage.abort_latency_steps is None:
                await anyio.sleep(0.01)
        assert stream.usage.tokens_computed > 0
        assert stream.usage.tokens_after_cancel == 0


async def test_what_is_left_of_the_deadline_crosses_the_wire(team: Team) -> None:
    async with team.server() as gateway, team.laptop() as remote:
        call = make_call(max_tokens=400)
        sent_at = time.monotonic()
        call = replace(call, slo=replace(call.slo, arrival=sent_at - 1, deadline=sent_at + 30))
        async with remote.submit(call):
            with anyio.fail_after(60):
                while not gateway.service.running:
                    await anyio.lowlevel.checkpoint()
            seen = time.monotonic()
            (running,) = gateway.service.running
            # One machine, so one clock: the moments are the same but for the way, which lies between the two looks.
            assert sent_at - 1 <= running.call.slo.arrival <= seen - 1
            assert running.call.slo.deadline <= call.slo.deadline + (seen - sent_at)
            assert running.call.slo.deadline > call.slo.deadline - 1
            assert running.call.slo.client == "alice"


async def test_a_forced_prefix_holds_and_is_sent_once(team: Team, engine: EngineThread, model_folder: Path) -> None:
    tokenizer = Tokenizer.from_folder(model_folder)
    cut = Healer(tokenizer).heal("def fibona")
    assert cut is not None
    prefix = ForcedPrefix(cut.spellings, len(cut.text), tuple(cut.ids))
    prompt = tuple(tokenizer.encode("import math\n\n\ndef "))
    call = replace(make_call(max_tokens=12), prompt_ids=prompt, forced_prefix=prefix)
    async with team.server(), team.laptop() as remote:
        local = await answer(engine.submit(call))
        assert await answer(remote.submit(call)) == local
        assert await answer(remote.submit(call)) == local
        assert len(remote._spellings) == 1


async def test_a_call_that_is_too_long_is_refused_alone(team: Team, engine: EngineThread) -> None:
    async with team.server(), team.laptop() as remote:
        with pytest.raises(CallRejectedError, match="context window"):
            await answer(remote.submit(make_call(max_tokens=engine.context_length)))
        assert await answer(remote.submit(make_call()))


async def test_tokens_that_the_model_does_not_know_end_the_connection_not_the_engine(
    team: Team, engine: EngineThread
) -> None:
    async with team.server(), team.laptop() as remote:
        call = make_call()
        with pytest.raises(EngineError):
            await answer(remote.submit(replace(call, prompt_ids=(1, 2**30))))
        assert await answer(engine.submit(call))


async def test_a_hint_reaches_the_scheduler(team: Team, engine: EngineThread, monkeypatch: pytest.MonkeyPatch) -> None:
    hinted = anyio.Event()
    clients: list[str] = []

    def hint(client: str, _until: float) -> None:
        clients.append(client)
        hinted.set()

    monkeypatch.setattr(engine, "hint", hint)
    async with team.server(), team.laptop() as remote:
        remote.hint("session-1", time.monotonic() + 1)
        with anyio.fail_after(60):
            await hinted.wait()
    assert clients == ["alice"]


async def test_counters_come_with_the_pings(team: Team, engine: EngineThread) -> None:
    async with team.server(), team.laptop() as remote:
        await answer(remote.submit(make_call()))
        with anyio.fail_after(60):
            while not remote.stats().steps:
                await anyio.sleep(0.01)
        assert remote.round_trip < 60


def test_tokens_do_not_wait_for_the_acknowledgement_of_earlier_ones() -> None:
    with (
        open_port("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
