"""Who may use the server, and what a hostile or broken laptop can do to it: nothing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import stat
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import anyio
import msgspec
import pytest
import trustme
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from cato_lsp.engine.api import CallRejectedError, EngineError
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.thread import EngineThread
from cato_lsp.gateway import connection, keys
from cato_lsp.gateway.keys import KeyFile, KeyFileError
from cato_lsp.gateway.limits import Limits
from cato_lsp.gateway.server import RefusedError, ServeOptions, check_exposure
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.methods.status import backend_status
from cato_lsp.remote.engine import RemoteLaunch
from cato_lsp.remote.messages import (
    BAD_MESSAGE,
    MOST_CLIENT_BYTES,
    PATH,
    WRONG_TOKENIZER,
    WRONG_VERSION,
    Fetch,
    Hello,
    Message,
    Ping,
    SubmitCall,
    encode,
)
from cato_lsp.remote.model_files import FileCache, check_names
from cato_lsp.remote.refusals import check_url
from cato_lsp.scheduling.slo import ServiceClass, TaskKind
from tests.conftest import make_call
from tests.remote.conftest import Team
from tests.remote.test_engine import answer


async def dial(team: Team, key: str | None) -> ClientConnection:
    headers = {"Authorization": f"Bearer {key}"} if key is not None else None
    return await connect(f"{team.url}{PATH}", additional_headers=headers, compression=None, ping_interval=None)


async def closed_with(socket: ClientConnection, *frames: bytes | str) -> int:
    """Send frames and return the code that the server closes with."""
    with anyio.fail_after(120):
        try:
            for frame in frames:
                await socket.send(frame)
            while True:
                await socket.recv()
        except ConnectionClosed as error:
            return error.rcvd.code if error.rcvd else 1006


async def test_a_valid_key_is_required(team: Team) -> None:
    async with team.server() as gateway:
        for key in (None, "", "cato-wrong", team.key("alice") + "x", team.key("alice")[:-1]):
            with pytest.raises(InvalidStatus) as refused:
                await dial(team, key)
            assert refused.value.response.status_code == 401
        assert gateway.service.open_connections == 0


async def test_a_wrong_key_is_reported_in_one_line_with_what_to_do(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    async with team.server():
        remote = team.remote()
        monkeypatch.setenv("CATO_KEY", "cato-wrong")
        with pytest.raises(EngineError, match="does not know your key") as refused:
            await remote.start()
        assert "cato-lsp login" in refused.value.remedy


async def test_a_revoked_key_ends_the_connection_and_its_calls(team: Team) -> None:
    async with team.server() as gateway:
        remote = team.remote()
        await remote.start()
        async with anyio.create_task_group() as group:
            ended: list[EngineError | None] = []

            async def serve() -> None:
                ended.append(await remote.wait_closed())

            group.start_soon(serve)
            stream = remote.submit(make_call(max_tokens=400))
            async for _ in stream:
                break
            team.keys.revoke("alice")
            gateway.service.reload_keys()
        await gateway.service.idle()
    assert "revoked" in str(ended[0])


async def test_bad_frames_end_their_connection_alone(team: Team, engine: EngineThread) -> None:
    call = SubmitCall(1, [1, 2, 3], TaskKind.COMPLETION, ServiceClass.TTFT, 4)
    hello = encode(Hello())
    far_away = msgspec.msgpack.encode({"type": "spellings", "slot": 0, "levels": [{5: 9}]})
    bad: list[tuple[int, list[bytes | str]]] = [
        (BAD_MESSAGE, [b"garbage"]),
        (BAD_MESSAGE, ["text"]),
        (BAD_MESSAGE, [encode(Ping(0.0))]),
        (BAD_MESSAGE, [hello, hello]),
        (BAD_MESSAGE, [hello, os.urandom(1000)]),
        (BAD_MESSAGE, [hello, encode(call), encode(call)]),
        (BAD_MESSAGE, [hello, far_away]),
        (BAD_MESSAGE, [hello, encode(Fetch("../../etc/passwd"))]),
        (BAD_MESSAGE, [hello, encode(Fetch("model.safetensors"))]),
        (BAD_MESSAGE, [hello, encode(SubmitCall(1, [2**30], TaskKind.COMPLETION, ServiceClass.TTFT, 4))]),
        (
            BAD_MESSAGE,
            [hello, encode(SubmitCall(1, [1], TaskKind.COMPLETION, ServiceClass.TTFT, 4, slack_ms=float("nan")))],
        ),
        (BAD_MESSAGE, [hello, encode(SubmitCall(1, [1], TaskKind.COMPLETION, ServiceClass.TTFT, 4, weight=10.0))]),
        (1009, [hello, b"x" * (MOST_CLIENT_BYTES + 1)]),
        (WRONG_VERSION, [encode(Hello(protocol=99))]),
        (WRONG_TOKENIZER, [encode(Hello(tokenizer="another"))]),
    ]
    async with team.server() as gateway, team.laptop("bob") as bystander:
        for code, frames in bad:
            async with await dial(team, team.key("alice")) as socket:
                assert await closed_with(socket, *frames) == code, frames
        assert (await answer(bystander.submit(make_call())))[1]
        await gateway.service.idle()


async def test_a_silent_laptop_leaves_no_call_running(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SILENCE", 1.0)
    async with team.server() as gateway:
        call = SubmitCall(1, [5, 6, 7], TaskKind.COMPLETION, ServiceClass.TTFT, 2000)
        async with await dial(team, team.key("alice")) as socket:
            await socket.send(encode(Hello()))
            await socket.send(encode(call))
            with anyio.fail_after(120):
                while not gateway.service.running:
                    await anyio.sleep(0.01)
            # It reads nothing and says nothing from now on.
            with anyio.fail_after(120):
                await gateway.service.idle()
                while gateway.service.open_connections:
                    await anyio.sleep(0.01)
        assert b"cato_abandoned_calls_total 1.0" in gateway.service.metrics.exposition()


async def test_a_slow_reader_takes_little_memory_and_is_disconnected(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE", 1.0)
    written = 0

    def count(message: Message) -> bytes:
        nonlocal written
        frame = encode(message)
        written += len(frame)
        return frame

    monkeypatch.setattr(connection, "encode", count)
    wanted = 1000
    async with team.server() as gateway, team.laptop("bob") as bystander:
        async with await dial(team, team.key("alice")) as socket:
            await socket.send(encode(Hello()))
            # It reads nothing. Its library takes a few frames, the system's buffers a few megabytes.
            for _ in range(wanted):
                await socket.send(encode(Fetch("tokenizer.json")))
            with anyio.fail_after(120):
                while gateway.service.open_connections > 1:
                    await anyio.sleep(0.01)
        size = len(gateway.service.side.model.contents["tokenizer.json"])
        assert size < written < 32 << 20 < wanted * size
        assert (await answer(bystander.submit(make_call())))[1]


async def test_pages_lead_to_no_file(team: Team) -> None:
    async with team.server():
        for path in ("/../cli.py", "/page.js/../../keys.py", "/%2e%2e/keys.py", "//etc/passwd", "/page/index.html"):
            reader, writer = await asyncio.open_connection("127.0.0.1", team.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            status, *_ = (await reader.read()).split(b"\r\n")
            writer.close()
            assert b" 404 " in status, path


async def test_calls_over_the_limit_are_refused_with_the_number_of_running_and_waiting_calls(team: Team) -> None:
    async with team.server(limits=Limits(calls=1, tokens=5000, prompt=1000, rate=1000)), team.laptop() as remote:
        with pytest.raises(CallRejectedError, match="at most 1000"):
            await answer(remote.submit(make_call(1001)))
        async with remote.submit(make_call(max_tokens=400)):
            with pytest.raises(CallRejectedError, match=r"1 calls in flight.*The server runs"):
                await answer(remote.submit(make_call()))
            async with team.laptop("bob") as other:
                assert (await answer(other.submit(make_call())))[1]


async def test_prompt_caches_are_shared_within_a_team_only(team: Team) -> None:
    async def cached(user: str) -> int:
        async with team.laptop(user) as remote, remote.submit(make_call(400, first=999)) as stream:
            counts = [delta.cached_prompt_tokens async for delta in stream]
            return counts[0]

    async with team.server():
        assert await cached("alice") == 0
        assert await cached("alice") > 0
        assert await cached("bob") == 0


async def test_tls_works_and_a_certificate_of_unknown_origin_is_refused(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    async with team.server(tls=authority.issue_cert("127.0.0.1")):
        with pytest.raises(EngineError, match="certificate") as refused:
            await team.remote().start()
        assert "SSL_CERT_FILE" in refused.value.remedy
        file = team.folder / "authority.pem"
        authority.cert_pem.write_to_path(file)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with team.laptop() as remote:
            assert (await answer(remote.submit(make_call())))[1]


def test_a_server_does_not_listen_on_a_network_in_the_clear(launch: Launch, tmp_path: Path) -> None:
    options = ServeOptions(launch, tmp_path / "keys.json")
    for host in ("127.0.0.1", "::1", "localhost"):
        check_exposure(replace(options, host=host))
    with pytest.raises(RefusedError, match="--tls-cert"):
        check_exposure(replace(options, host="0.0.0.0"))
    check_exposure(replace(options, host="0.0.0.0", insecure=True))


def test_a_laptop_sends_no_key_in_the_clear() -> None:
    for url in ("ws://example.org:8765", "http://127.0.0.1", "wss://", "wss://me:secret@example.org"):
        with pytest.raises(EngineError):
            check_url(url)
    check_url("wss://example.org:8765")
    check_url("ws://127.0.0.1:8765")


@pytest.mark.parametrize(
    "url",
    [
        "wss://me:secret@example.org:8765",
        "http://me:secret@example.org",
        "wss://example.org?key=secret",
        "wss://me:secret@example.org:port",
        "secret",
    ],
)
async def test_a_password_in_the_address_is_refused_and_shown_nowhere(url: str) -> None:
    launch = RemoteLaunch(url)
    with pytest.raises(EngineError) as refused:
        await launch.connect(print).start()
    backend = Backend()
    backend.host.configure(launch)
    for text in (str(refused.value), refused.value.remedy, launch.name, str(backend_status(backend)["model"])):
        assert "secret" not in text


def test_a_server_cannot_choose_where_a_laptop_writes(tmp_path: Path) -> None:
    with pytest.raises(EngineError):
        check_names({"config.json": "0" * 64, "tokenizer.json": "0" * 64, "../x": "0" * 64})
    for name in ("../../evil", "/etc/passwd", "..", "a/b/../..", "\\..\\x", ""):
        folder = FileCache(tmp_path).folder(name, "0" * 64)
        assert folder.resolve().parent == (tmp_path / ("0" * 32)).resolve()


def test_a_key_is_compared_in_constant_time_with_every_stored_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = KeyFile(tmp_path / "keys.json")
    right = [file.add(name) for name in ("alice", "bob", "carol")]
    stored_keys = file.keys()
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(keys, "hmac", SimpleNamespace(compare_digest=compare))
    for shown in (*right, "cato-wrong", "", right[0][:-1]):
        compared.clear()
        assert (file.check(shown) is not None) is (shown in right)
        digest = hashlib.sha256(shown.encode()).hexdigest()
        assert [mine for _, mine in compared] == [digest] * 3
        assert {stored for stored, _ in compared} == {each.hash for each in stored_keys}


def test_keys_are_stored_hashed_and_private(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    key = file.add("alice")
    assert key not in file.path.read_text()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    again = KeyFile(file.path)
    again.reload()
    assert again.check(key) == file.check(key) is not None
    with pytest.raises(KeyFileError, match="has a key"):
        again.add("alice")
    with pytest.raises(KeyFileError, match="letters"):
        again.add("../alice")
    again.revoke("alice")
    assert file.reload()
    assert file.check(key) is None
    file.path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        KeyFile(file.path).reload()
