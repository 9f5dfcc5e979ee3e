"""Fair shares between clients, by virtual token counters."""

from __future__ import annotations

from collections import OrderedDict

STAYS = 50_000.0
"""A client is still there, though it asks nothing, until this many tokens were computed since its last request."""
MOST_DEBT = 200_000.0
"""No client owes more tokens than this, however long it had the machine to itself."""
MOST_AWAY = 1024
"""Of those who are there but ask nothing, only so many are remembered."""


class ClientShares:
    """What each client has had beyond an equal share: virtual token counters with a memory.

    In the Virtual Token Counter (Sheng et al., OSDI 2024) a counter grows with the tokens computed for a client, and
    whoever comes back is lifted to the least of the active ones, so that idleness earns no credit. Editor windows come
    back many times a second: lifted each time, they would never be ahead of one that asks without a pause, nor of one
    that asks for several times as much in bursts between which everybody is idle. So here a client remains among those
    who share for a while (`STAYS`), and what is counted is debt:

    - tokens computed for a client are owed by it, and an equal share of all tokens computed while it is there is paid
      back. Debts are never negative: who has had less than a share has no credit, and the next token counts in full;
    - who was away for longer is forgotten with its debt, and what was its share meanwhile is that of the others.

    Only tokens move time here, so an idle machine changes nothing. What is remembered is bounded by the clients with a
    request, those that left within the last `STAYS` tokens, and `MOST_AWAY`.
    """

    def __init__(self) -> None:
        self._live: dict[str, int] = {}  # requests of each client
        self._away: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens and share when they left, in order
        self._even: dict[str, float] = {}  # the value of `_share` at which a client owes nothing
        self._share = 0.0
        self._computed = 0.0

    def __len__(self) -> int:
        """Clients that are remembered."""
        return len(self._live) + len(self._away)

    def enter(self, client: str) -> None:
        """A request of the client arrived."""
        self._away.pop(client, None)
        self._live[client] = self._live.get(client, 0) + 1

    def leave(self, client: str) -> None:
        """A request of the client ended."""
        left = self._live.get(client, 0) - 1
        if left > 0:
            self._live[client] = left
        elif self._live.pop(client, None) is not None:
            self._away[client] = self._computed, self._share
            if len(self._away) > MOST_AWAY:
                self._forget_first()

    def charge(self, client: str, tokens: float) -> None:
        """Tokens are about to be computed for the client; one without a request is not charged."""
        if client not in self._live:
            return
        share = self._share
        even = self._even.get(client, share)
        even = (even if even > share else share) + tokens
        self._share = share = share + tokens / (len(self._live) + len(self._away))
        self._even[client] = even if even < share + MOST_DEBT else share + MOST_DEBT
        self._computed += tokens
        while self._away and self._computed - STAYS > next(iter(self._away.values()))[0]:
            self._forget_first()

    def excess(self) -> dict[str, float]:
        """Tokens that each client with a request has had beyond its share; nothing when there is no other one."""
        if len(self._live) < 2:
            return {}
        share, even_at = self._share, self._even
        return {c: even - share if (even := even_at.get(c, share)) > share else 0.0 for c in self._live}

    def _forget_first(self) -> None:
        client, (_, share_when_left) = self._away.popitem(last=False)
        self._even.pop(client, None)
        if len(self) < 2:
            self._even.clear()  # nobody is there to whom it is owed
        else:
            self._share += (self._share - share_when_left) / len(self)
