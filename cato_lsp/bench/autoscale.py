"""What decides the number of replicas of a simulated fleet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cato_lsp.fleet.autoscaling import next_target
from cato_lsp.fleet.books import NewCall, ReplicaBook
from cato_lsp.fleet.scaling import Scaler


class Autoscaler(Protocol):
    """Decides, once a second, how many replicas there should be."""

    def routed(self, call: NewCall, chosen: ReplicaBook, books: Sequence[ReplicaBook], now: float, /) -> None:
        """A new call goes to ``chosen``, one of ``books``; it is not entered yet."""
        ...

    def target(self, books: Sequence[ReplicaBook], target: int, now: float, /) -> int:
        """Return the number of replicas that there should be.

        :param books: of the replicas that are up.
        :param target: what was decided last.
        """
        ...


class DeadlineAutoscaler:
    """Ours: the gateway's `Scaler`, and the policy that Ray's controller calls with what the gateway wants."""

    def __init__(self, least: int, most: int, *, load_seconds: float, spare: int) -> None:
        self._scaler = Scaler(least, most, spare=spare, load_seconds=load_seconds)

    def routed(self, call: NewCall, chosen: ReplicaBook, books: Sequence[ReplicaBook], now: float, /) -> None:
        """See `Autoscaler.routed`."""
        self._scaler.routed(call, chosen, books, now)

    def target(self, books: Sequence[ReplicaBook], target: int, now: float, /) -> int:
        """See `Autoscaler.target`."""
        return next_target(len(books), self._scaler.wanted(books, now), target)
