"""Networks and servers that fail, on the live engine."""

from __future__ import annotations

import anyio
import pytest
from websockets.exceptions import InvalidMessage

from cato_lsp.engine.api import EngineError, EngineUnavailableError
from cato_lsp.engine.host import EngineHost, EnginePhase
from cato_lsp.engine.thread import EngineThread
from cato_lsp.remote import engine as remote_engine
from cato_lsp.remote.engine import RemoteLaunch
from cato_lsp.remote.refusals import explain
from tests.conftest import make_call
from tests.remote.conftest import Team
from tests.remote.test_engine import answer


async def test_a_call_survives_a_lost_connection_word_for_word(
    team: Team, engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_engine, "AWAY", 120.0)
    call = make_call(max_tokens=60)
    wanted = await answer(engine.submit(call))
    async with team.server() as gateway, team.laptop() as remote:
        text, tokens, lost = "", list[int](), False
        async with remote.submit(call) as stream:
            async for delta in stream:
                text += delta.text
                tokens += delta.token_ids
                if not lost and text:
                    lost = True
                    assert remote._link is not None
                    remote._link.abort()
        assert (text, tokens) == wanted
        assert remote.resubmitted == 1
        await gateway.service.idle()


def test_a_server_that_ends_while_it_is_dialed_may_be_tried_again() -> None:
    ended, other = InvalidMessage("no response"), InvalidMessage("no HTTP")
    ended.__cause__, other.__cause__ = EOFError(), ValueError()
    assert isinstance(explain(ended, "ws://127.0.0.1:1"), EngineUnavailableError)
    assert not isinstance(explain(other, "ws://127.0.0.1:1"), EngineUnavailableError)


async def test_open_calls_fail_if_the_server_cannot_be_reached(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_engine, "AWAY", 0.2)
    async with team.server():
        remote = team.remote()
        await remote.start()
        stream = remote.submit(make_call())
    assert isinstance(await remote.wait_closed(), EngineUnavailableError)
    assert isinstance(await remote.wait_closed(), EngineUnavailableError), "also for one who asks later"
    with pytest.raises(EngineUnavailableError):
        await answer(stream)
    with pytest.raises(EngineError):
        await answer(remote.submit(make_call()))


async def test_a_host_reports_when_the_server_is_away_and_when_it_is_back(team: Team) -> None:
    team.remote()
    host = EngineHost()
    phases: list[EnginePhase] = []
    host.watch(lambda status: phases.append(status.phase))

    async def until(wanted: EnginePhase) -> None:
        with anyio.fail_after(120):
            while host.status.phase is not wanted:
                await anyio.sleep(0.01)

    async with anyio.create_task_group() as group:
        group.start_soon(host.run)
        host.configure(RemoteLaunch(team.url, cache=team.folder / "cache"))
        await until(EnginePhase.FAILED)
        assert "cannot be reached" in host.status.message
        async with team.server():
            await until(EnginePhase.READY)
            assert "bundled at 127.0.0.1" in host.status.message
            assert (await answer(host.engine.submit(make_call())))[1]
        await until(EnginePhase.FAILED)
        group.cancel_scope.cancel()


async def test_a_stopping_server_lets_calls_end_and_takes_no_new_ones(team: Team) -> None:
    async with team.server() as gateway, team.laptop() as remote:
        running = remote.submit(make_call(max_tokens=40))
        async for _ in running:
            break
        async with anyio.create_task_group() as group:
            group.start_soon(gateway.stop, 120.0)
            async for delta in running:
                finish = delta.finish_reason
            assert finish == "length" or finish == "stop"
        with pytest.raises(EngineUnavailableError):
            await answer(remote.submit(make_call()))
