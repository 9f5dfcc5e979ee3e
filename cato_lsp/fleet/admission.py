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
"""Seconds after which a deferred call is decided on again."""


class Verdict(StrEnum):
    """The decision on a call."""

    SEND = "send"
    DEFER = "defer"
    """Every replica would miss its deadline now, but one without a queue would meet it. Decide again in `RETRY`."""
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
    if any(meets_alone(book, call, now) for book in books):
        return Verdict.DEFER
    queue = min(book.backlog() / USABLE for book in books)
    return Verdict.REFUSE if queue > PATIENCE * (slo.deadline - slo.arrival) else Verdict.SEND
