"""A server with several addresses: the order in which a key tries them."""

from __future__ import annotations

import socket
from collections import Counter
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.engine.api import EngineError, EngineUnavailableError
from cato_lsp.remote.addresses import addresses, in_order
from cato_lsp.remote.link import Link
from tests.remote.conftest import Team

pytestmark = pytest.mark.anyio

GATEWAYS = [(socket.AF_INET, f"10.0.0.{n}") for n in range(1, 5)]
KEYS = [f"key-{n}" for n in range(400)]


def known_as(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    """Let every name have these addresses."""

    async def look_up(_host: str, port: int, **_kind: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(anyio, "getaddrinfo", look_up)


def test_users_are_spread_over_gateways() -> None:
    first = Counter(in_order(GATEWAYS, key)[0] for key in KEYS)
    assert set(first) == {address for _, address in GATEWAYS}
    assert min(first.values()) > len(KEYS) / len(GATEWAYS) / 2


def test_only_the_users_of_a_gateway_that_is_away_move() -> None:
    _, gone = GATEWAYS[0]
    for key in KEYS:
        before = in_order(GATEWAYS, key)
        assert in_order(GATEWAYS[1:], key) == [address for address in before if address != gone]


@given(st.permutations(GATEWAYS), st.text())
def test_the_order_depends_on_the_key_alone(found: list[tuple[int, str]], key: str) -> None:
    assert in_order(found, key) == in_order(GATEWAYS, key)


@given(st.text())
def test_the_order_of_the_families_remains(key: str) -> None:
    found = [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::2")]
    assert in_order(found, key)[2] == "127.0.0.1"


async def test_a_proxy_looks_the_name_up_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    assert await addresses("wss://team.invalid:8765", "key") == [None]


async def test_a_gateway_that_is_away_is_passed_over(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [f"127.0.0.{n}" for n in (1, 2, 3)]
    known_as(monkeypatch, *found)
    url = f"ws://localhost:{team.port}"
    orders = {key: in_order([(socket.AF_INET, address) for address in found], key) for key in KEYS}
    last = next(key for key, order in orders.items() if order[2] == "127.0.0.1")
    async with team.server():  # which listens on 127.0.0.1
        with pytest.raises(EngineError, match="does not know your key"):
            await Link.open(url, last)
        async with team.laptop(url=url) as laptop:
            assert laptop.context_length > 0


async def test_if_all_are_away_the_last_says_why(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    known_as(monkeypatch, "127.0.0.2", "127.0.0.3")
    with pytest.raises(EngineUnavailableError, match="cannot be reached: Connection refused"):
        await Link.open(f"ws://localhost:{team.port}", "key")
