"""What a replica tells the gateways of itself."""

from __future__ import annotations

from typing import Any

import msgspec


class Offer(msgspec.Struct, frozen=True):
    """A replica that takes calls. Sent as a map, so that the two sides may be of different versions."""

    name: str
    url: str
    """``ws://HOST:PORT`` in the cluster's private network."""
    key: str
    """Random for each start of the replica."""
    slots: int
    """Calls that run at the same time."""
    kv_tokens: int
    """Tokens that its KV cache holds."""
    load_seconds: float = 0.0
    """How long it took to start."""

    def to_map(self) -> dict[str, Any]:
        """Convert for sending."""
        return msgspec.structs.asdict(self)

    @classmethod
    def from_map(cls, content: dict[str, Any]) -> Offer:
        """Convert what was received. Unknown fields are ignored.

        Raises:
            msgspec.ValidationError: it is no offer.
        """
        return msgspec.convert(content, cls)
