"""A team as processes: the server, its administrator's commands, laptops and their windows."""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from cato_lsp.engine.api import EngineUnavailableError
from cato_lsp.remote.engine import RemoteEngine, RemoteLaunch
from tests.conftest import make_call
from tests.lsp.wire import Wire
from tests.remote.served import PATIENCE, Person, Served
from tests.remote.test_engine import answer


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One server for all tests of this module."""
    served = Served(tmp_path_factory.mktemp("team"))
    await served.add("alice")
    yield served
    served.close()


@pytest.fixture
async def served(running: Served) -> Served:
    """The server, ready. The test before may have stopped it."""
    await running.start()
    return running


def said(text: str) -> list[str]:
    """The lines of a refusal; there are one or two, and no traceback."""
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) in (1, 2), text
    return lines


async def status(wire: Wire, wanted: str) -> str:
    """Wait until the window's status contains a text; return it."""
    while wanted not in (text := str((await wire.told("cato/didChangeStatus"))["params"]["message"])):
        pass
    return text


async def completes(wire: Wire) -> bool:
    """Open a document and complete a line in it."""
    wire.open("import os\n\n\ndef read(path):\n    with open(path) as file:\n        return file.\n")
    return bool((await wire.complete(5, 20))["items"])


async def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    admin = Person(tmp_path / "admin")
    assert "keys add" in said((await admin.run("keys", "list")).stderr)[0]
    made = await admin.run("keys", "add", "alice")
    assert re.fullmatch(r"cato-\S{40,}\n", made.stdout)
    listed = (await admin.run("keys", "list")).stdout
    assert listed.startswith("alice\tdefault\t")
    assert made.stdout.strip() not in listed
    assert (await admin.run("keys", "revoke", "alice")).returncode == 0
    again = await admin.run("keys", "revoke", "alice")
    assert again.returncode == 1
    assert "keys list" in said(again.stderr)[0]


async def test_a_server_that_cannot_start_says_why_and_what_to_do(tmp_path: Path) -> None:
    served = Served(tmp_path)
    assert "keys add" in " ".join(said((await served.admin.run("serve", "--port", str(served.port))).stderr))
    await served.add("alice")
    swapped = "--tls-cert", str(served.private), "--tls-key", str(served.certificate)
    refused = await served.admin.run("serve", "--port", str(served.port), *swapped)
    assert refused.returncode == 1
    assert "private key that belongs to it" in said(refused.stderr)[1]
    with socket.create_server(("127.0.0.1", served.port)):
        refused = await served.admin.run("serve", "--port", str(served.port))
    assert refused.returncode == 1
    assert said(refused.stderr) == [
        f"Cannot listen at 127.0.0.1:{served.port}: Address already in use.",
        "Another server may be running: stop it, or choose another port with --port.",
    ]


async def test_login_checks_a_key_and_stores_it_for_this_server_only(served: Served) -> None:
    alice = served.person("alice-login")
    for key, url, words in (
        ("cato-wrong", served.url, "does not know your key"),
        (served.keys["alice"], served.url.replace("wss", "ws"), "ws:// against wss://"),
        (served.keys["alice"], "wss://127.0.0.1:1", "cannot be reached: Connection refused"),
        (served.keys["alice"], f"wss://alice:secret@127.0.0.1:{served.port}", "must not hold a key"),
    ):
        refused = await alice.run("login", url, stdin=f"{key}\n")
        assert refused.returncode == 1
        assert words in said(refused.stderr)[0]
        assert "secret" not in refused.stderr
    strange = await alice.run("login", served.url, stdin=f"{served.keys['alice']}\n", SSL_CERT_FILE=os.devnull)
    assert "SSL_CERT_FILE" in said(strange.stderr)[0]

    stored = await alice.run("login", served.url, stdin=f"{served.keys['alice']}\n")
    assert "You are alice" in stored.stdout, stored.stderr
    file = alice.folder / "config" / "cato-lsp" / "key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == f"127.0.0.1:{served.port} {served.keys['alice']}\n"
    assert (await alice.run("top", "--once", served.url)).returncode == 0


async def test_a_laptop_completes_over_stdio_until_its_key_is_revoked(served: Served) -> None:
    laptop = served.person("carol", CATO_KEY=await served.add("carol"))
    async with laptop.window("--engine", served.url) as wire:
        assert f"at 127.0.0.1:{served.port}" in await status(wire, "Ready")
        assert await completes(wire)
        assert (await wire.status())["model"] == f"127.0.0.1:{served.port}"
        assert (await served.admin.run("keys", "revoke", "carol")).returncode == 0
        assert "cato-lsp login" in (await status(wire, "was revoked"))


async def test_windows_of_a_user_share_one_connection(served: Served) -> None:
    url = f'[engine]\nurl = "{served.url}"\n'
    laptop = served.person("dave", url, CATO_KEY=await served.add("dave"))
    try:
        async with laptop.window() as first, laptop.window() as second:
            for wire in (first, second):
                await status(wire, "Ready")
                assert await completes(wire)
            seen = await served.overview()
            assert seen["connections"] == 1
            assert set(seen["users"]) >= {"dave"}
    finally:
        assert (await laptop.run("stop")).returncode == 0


async def test_operators_see_the_server(served: Served) -> None:
    alice = served.person("alice-top", CATO_KEY=served.keys["alice"])
    shown = await alice.run("top", "--once", served.url)
    assert "bundled  ready" in shown.stdout
    assert (await served.get("/metrics"))[0] == 401
    code, metrics = await served.get("/metrics", served.keys["alice"])
    assert code == 200
    assert "cato_steps_total" in metrics
    assert "<title>cato-lsp</title>" in (await served.get("/"))[1]
    assert "overview" in (await served.get("/page.js"))[1]


async def test_a_call_in_flight_ends_before_the_server_does(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(served.trust))
    monkeypatch.setenv("CATO_KEY", served.keys["alice"])
    remote = RemoteEngine(RemoteLaunch(served.url, cache=served.folder / "cache"))
    await remote.start()
    async with anyio.create_task_group() as group:
        group.start_soon(remote.wait_closed)
        finish = None
        async with remote.submit(make_call(max_tokens=60)) as stream:
            async for delta in stream:
                if finish is None and delta.finish_reason is None:
                    finish = ""
                    served.terminate()
                finish = delta.finish_reason or finish
        assert finish in ("length", "stop")
        with anyio.fail_after(PATIENCE):
            while not remote._draining and remote._link is not None:
                await anyio.sleep(0.01)
        with pytest.raises(EngineUnavailableError):
            await answer(remote.submit(make_call()))
        assert await served.ended() == 0
        remote.stop()
    assert "Stopping; 1 calls are running" in served.log.read_text()
    gone = await served.person("alice-gone", CATO_KEY=served.keys["alice"]).run("top", served.url)
    assert gone.returncode == 1
    assert "cato-lsp serve" in said(gone.stderr)[0]
