"""Decides which calls are sent to a second replica, because their own has fallen silent.

The copy that delivers first goes on, and the other is cancelled (hedged requests: Dean and Barroso, The Tail at Scale,
2013). A call is sent only if its deadline is about to be lost where it is, and only to a replica with capacity to
spare: one that meets this deadline and loses no other for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cato_lsp.fleet.books import NewCall, OpenCall, ReplicaBook
from cato_lsp.fleet.prediction import OPTIONS, gain
from cato_lsp.scheduling.slo import ServiceClass

HEDGE_EVERY = 0.02
"""Seconds between two looks at the replicas."""


def in_danger(book: ReplicaBook, now: float) -> Iterator[OpenCall]:
    """Yield the calls whose deadlines are lost if a silent replica stays silent for as long again as it has been so."""
    if not book.is_silent(now):
        return
    age, costs = book.age(now), book.costs
    for each in book.calls.values():
        slo = each.call.slo
        needed = costs.fixed + costs.per_token * each.unread
        if slo.service is ServiceClass.E2E:
            needed += costs.recent_step * book.lengths.remaining(slo.kind, each.generated, OPTIONS.long_answer)
        elif slo.service is ServiceClass.BACKGROUND or not each.unread:
            continue
        if now < slo.deadline < now + age + needed:
            yield each


def second_replica(call: NewCall, home: ReplicaBook, books: Sequence[ReplicaBook], now: float) -> ReplicaBook | None:
    """Return the replica with capacity to spare for ``call``; ``None`` if there is none.

    :param home: the book of the silent replica.
    :param books: of all replicas that are up.
    """
    able = [book for book in books if book is not home and gain(book, call, now) >= call.slo.weight]
    return min(able, key=lambda book: (-book.prefixes.matched(call.blocks), book.load(now)), default=None)
