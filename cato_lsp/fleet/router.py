"""Chooses a replica for each call, so that most deadlines are met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cato_lsp.fleet.books import NewCall, ReplicaBook
from cato_lsp.fleet.prediction import gain


class Router(Protocol):
    """Chooses among the replicas that are up. The same calls and books give the same choices."""

    def choose(self, call: NewCall, books: Sequence[ReplicaBook], now: float, /) -> ReplicaBook:
        """Return the replica for a call.

        :param books: of the replicas that are up, at least one, always in the same order.
        """
        ...

    def removed(self, name: str, /) -> None:
        """A replica has died or left."""
        ...


class DeadlineRouter:
    """Ours. By the books:

    1. the replica where the call adds most to the deadlines that are met,
    2. of those, the one that has most of the prompt in its cache: the document's home,
    3. of those, the one with the least load.

    So a call leaves its home only if its deadline (or that of another call, for its sake) is lost there and met
    elsewhere. A call whose deadline is met nowhere stays at home.
    """

    def choose(self, call: NewCall, books: Sequence[ReplicaBook], now: float, /) -> ReplicaBook:
        """See `Router.choose`."""
        nearest = [(-book.prefixes.matched(call.blocks), book.load(now), index) for index, book in enumerate(books)]
        best, most = None, 0.0
        for *_, index in sorted(nearest):
            added = gain(books[index], call, now)
            if added >= call.slo.weight:
                return books[index]
            if best is None or added > most:
                best, most = books[index], added
        assert best is not None, "there is at least one replica"
        return best

    def removed(self, name: str, /) -> None:
        """See `Router.removed`. All that is known of a replica is in its book."""
