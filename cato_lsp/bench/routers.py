"""The routers that a benchmark can compare, by name."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence

from cato_lsp.fleet.books import NewCall, ReplicaBook
from cato_lsp.fleet.router import DeadlineRouter, Router


class _Forgetful:
    """Keeps nothing of a replica."""

    def removed(self, _name: str, /) -> None:
        """See `Router.removed`."""


class RoundRobin(_Forgetful):
    """Each replica in turn."""

    def __init__(self) -> None:
        self._turn = -1

    def choose(self, _call: NewCall, books: Sequence[ReplicaBook], _now: float, /) -> ReplicaBook:
        """See `Router.choose`."""
        self._turn += 1
        return books[self._turn % len(books)]


class PowerOfTwo(_Forgetful):
    """Two replicas at random; of these, the one with fewer open calls. Ray Serve's default."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def choose(self, _call: NewCall, books: Sequence[ReplicaBook], _now: float, /) -> ReplicaBook:
        """See `Router.choose`."""
        two = self._random.sample(books, min(2, len(books)))
        return min(two, key=lambda book: len(book.calls))


class SessionHash(_Forgetful):
    """The replica with the highest hash of client and replica (rendezvous hashing)."""

    def choose(self, call: NewCall, books: Sequence[ReplicaBook], _now: float, /) -> ReplicaBook:
        """See `Router.choose`."""
        client = call.slo.client
        return max(books, key=lambda book: hashlib.blake2b(f"{client}/{book.name}".encode()).digest())


def _ray_prefix() -> Router:
    from cato_lsp.bench.ray_prefix import RayPrefix

    return RayPrefix()


ROUTERS: dict[str, Callable[[], Router]] = {
    "round-robin": RoundRobin,
    "power-of-two": PowerOfTwo,
    "prefix": _ray_prefix,
    "session": SessionHash,
    "deadline": DeadlineRouter,
}
"""Every router by name. `prefix` needs Ray (the extra ``fleet``)."""


def parse_routers(names: str) -> list[str]:
    """Parse a comma-separated list of routers.

    Raises:
        ValueError: a name is unknown.
    """
    found = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in found:
        if name not in ROUTERS:
            raise ValueError(f"unknown router {name!r}; known: {', '.join(ROUTERS)}")
    return found
