"""Fair shares between clients, by virtual token counters."""

from __future__ import annotations


class ClientShares:
    """How much service each client has had, after the Virtual Token Counter (Sheng et al., OSDI 2024).

    A counter grows with the tokens computed for the client; a client that comes back from a pause is lifted
    to the least of the active ones, so that idleness earns no credit.
    """

    def __init__(self) -> None:
        self._served: dict[str, float] = {}
        self._live: dict[str, int] = {}

    def enter(self, client: str) -> None:
        """A request of the client arrived."""
        if not self._live.get(client):
            floor = min((self._served[c] for c in self._live), default=0.0)
            self._served[client] = max(self._served.get(client, 0.0), floor)
            self._live[client] = 0
        self._live[client] += 1

    def leave(self, client: str) -> None:
        """A request of the client ended."""
        left = self._live.get(client, 0) - 1
        if left > 0:
            self._live[client] = left
            return
        self._live.pop(client, None)
        if not self._live:
            self._served.clear()

    def charge(self, client: str, tokens: float) -> None:
        """Tokens are about to be computed for the client."""
        self._served[client] = self._served.get(client, 0.0) + tokens

    def excess(self) -> dict[str, float]:
        """Tokens that each active client has had beyond the least served of them."""
        if len(self._live) < 2:
            return {}
        floor = min(self._served[c] for c in self._live)
        return {c: self._served[c] - floor for c in self._live}
