"""Decides whether a call is sent now, held back, or refused, from what the books predict."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from cato_lsp.fleet.books import NewCall, ReplicaBook
from cato_lsp.fleet.prediction import USABLE, gain, meets_alone
from cato_lsp.scheduling.slo import ServiceClass

PATIENCE = 10.0
"""A call is refused if the work before it takes more than this many times its deadline, as tasks are on one engine."""
RETRY = 0.02
"""Least seconds after which a deferred call is decided on again."""
LATEST_RETRY = 0.25
"""Most seconds until then."""
PARTS = 8
"""A deferred call is decided on again after this part of the time that it has left."""


class Verdict(StrEnum):
    """The decision on a call."""

    SEND = "send"
    DEFER = "defer"
    """Every replica would miss its deadline now, but one without a queue would meet it. Decide again in a moment."""
    REFUSE = "refuse"


def admit(call: NewCall, chosen: ReplicaBook, books: Sequence[ReplicaBook], now: float) -> Verdict:
    """Decide on a call.

    A call that is late everywhere, whatever its queue, is sent all the same: late answers get only the time that others
    leave. It is refused once that takes too long on every replica.

    :param chosen: the replica that the router chose, the best for the call.
    :param books: of all replicas that are up.
    """
    slo = call.slo
    if slo.service is ServiceClass.BACKGROUND or gain(chosen, call, now) > 0:
        return Verdict.SEND
    # Where all slots are taken, the replica's scheduler can pause a call for this one; the gateway cannot.
    if any(book.fits(call) and meets_alone(book, call, now) for book in books):
        return Verdict.DEFER
    return Verdict.REFUSE if shortest_queue(books) > PATIENCE * (slo.deadline - slo.arrival) else Verdict.SEND


def shortest_queue(books: Sequence[ReplicaBook]) -> float:
    """Return the predicted seconds until the replica with the least to read has read it."""
    return min(book.backlog() / USABLE for book in books)


def retry_after(call: NewCall, now: float) -> float:
    """Return the seconds after which a deferred call is decided on again: the sooner, the less time it has left."""
    return min(LATEST_RETRY, max(RETRY, (call.slo.deadline - now) / PARTS))
