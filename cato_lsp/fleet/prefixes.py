"""The prompt prefixes that a replica has been sent, by block hash."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Hashable, Sequence

BLOCK = 32
"""Tokens per block."""


def block_hashes(prompt_ids: Sequence[int], salt: str | None = None) -> tuple[Hashable, ...]:
    """One hash for each whole block of a prompt; it stands for the block and all before it.

    :param salt: prompts of different salts share no blocks, as in vLLM.
    """
    hashes: list[int] = []
    last = hash(salt)
    for end in range(BLOCK, len(prompt_ids) + 1, BLOCK):
        last = hash((last, *prompt_ids[end - BLOCK : end]))
        hashes.append(last)
    return tuple(hashes)


class SentPrefixes:
    """The blocks sent to one replica, least recently used first. An estimate of its prefix cache.

    :param capacity: blocks that the replica's KV cache holds.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._blocks: OrderedDict[Hashable, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def matched(self, blocks: Sequence[Hashable]) -> int:
        """Return how many of the leading blocks have been sent before."""
        # A block is never forgotten after those behind it, so the known ones come first.
        return bisect_left(blocks, True, key=lambda block: block not in self._blocks)

    def add(self, blocks: Sequence[Hashable]) -> None:
        """Add a prompt that was sent. The blocks at its end are the first to be forgotten, as in vLLM."""
        for block in reversed(blocks):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)
