"""Decides whether a call is refused, from what the books predict."""

from __future__ import annotations

from collections.abc import Sequence

from cato_lsp.fleet.books import NewCall, ReplicaBook
from cato_lsp.fleet.prediction import USABLE, gain
from cato_lsp.scheduling.slo import ServiceClass

PATIENCE = 10.0
"""A call is refused if the work before it takes more than this many times its deadline, as tasks are on one engine."""


def refuses(call: NewCall, chosen: ReplicaBook, books: Sequence[ReplicaBook], now: float) -> bool:
    """Decide whether a call is refused.

    A call that is late everywhere is sent all the same: late answers get only the time that others leave. It is
    refused once that takes too long on every replica.

    :param chosen: the replica that the router chose, the best for the call.
    :param books: of all replicas that are up.
    """
    slo = call.slo
    if slo.service is ServiceClass.BACKGROUND or gain(chosen, call, now) > 0:
        return False
    return shortest_queue(books) > PATIENCE * (slo.deadline - slo.arrival)


def shortest_queue(books: Sequence[ReplicaBook]) -> float:
    """Return the predicted seconds until the replica with the least to read has read it."""
    return min(book.backlog() / USABLE for book in books)
