"""An index of n-grams in flat arrays. It finds the tokens that follow a context in a set of files.

Each position of the token array is indexed by a hash of the ``SHORTEST`` tokens before it. A look-up is a binary search
for the hash. The positions found are compared with the context itself, so hash collisions only cost time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SHORTEST, LONGEST = 5, 16
"""Minimum and maximum length of a match in tokens. Shorter matches are not specific; longer ones add no information."""
BYTES_PER_TOKEN = 10
"""Memory for token, hash and position. Vocabularies with more than 65,534 tokens need two bytes more."""
_MOST = 32
"""Maximum number of positions that are compared per look-up. If there are more, an evenly spaced sample is used."""

Tokens = NDArray[np.unsignedinteger[Any]]
_NOTHING = np.empty(0, dtype=np.int64)
_OFFSETS = -np.arange(1, LONGEST + 1, dtype=np.int64)


class Follower(NamedTuple):
    """A token that follows the context at one position."""

    token: int
    length: int
    """Length of the match in tokens, ``SHORTEST`` to ``LONGEST``."""


class NgramIndex:
    """An immutable index of files.

    :param files: the tokens of each file, by its path.
    """

    def __init__(self, files: Mapping[str, Sequence[int] | Tokens]) -> None:
        largest = max((int(max(ids)) for ids in files.values() if len(ids)), default=0)
        dtype = np.uint16 if largest < np.iinfo(np.uint16).max else np.uint32
        self._border = int(np.iinfo(dtype).max)
        """The token between two files."""
        border = np.full(LONGEST, self._border, dtype=dtype)
        parts: list[Tokens] = [border]
        self.ranges: dict[str, tuple[int, int]] = {}
        """Start and end of each file in the token array."""
        at = LONGEST
        for path, ids in files.items():
            tokens = np.asarray(ids, dtype=dtype)
            self.ranges[path] = (at, at + len(tokens))
            parts += [tokens, border[:1]]
            at += len(tokens) + 1
        self._tokens = np.concatenate(parts)
        hashes = _hashes(self._tokens)
        order = np.argsort(hashes, kind="stable")
        self._positions = (order + SHORTEST).astype(np.int32)
        self._hashes = hashes[order]

    @property
    def size(self) -> int:
        """Tokens in the index."""
        return len(self._tokens)

    def file(self, path: str) -> Tokens:
        """The tokens of a file."""
        start, end = self.ranges[path]
        return self._tokens[start:end]

    def followers(self, context: Sequence[int], without: NDArray[np.int64] = _NOTHING) -> list[Follower]:
        """Find at most `_MOST` tokens that follow the context.

        :param context: the last tokens; fewer than ``SHORTEST`` find nothing.
        :param without: where ranges of the token array that are out of date begin and end, in order.
        """
        if len(context) < SHORTEST:
            return []
        wanted = np.uint32(_hash(context[-SHORTEST:]))
        first = int(self._hashes.searchsorted(wanted))
        end = int(self._hashes.searchsorted(wanted, side="right"))
        if first == end:
            return []
        positions = self._positions[first : end : -(-(end - first) // _MOST)].astype(np.int64)
        if len(without):
            # Within a range there is an odd number of beginnings and ends before a position.
            positions = positions[without.searchsorted(positions, side="right") % 2 == 0]
        backwards = context[: -LONGEST - 1 : -1]
        differs = self._tokens[positions[:, None] + _OFFSETS[: len(backwards)]] != np.array(backwards, dtype=np.int64)
        # The first difference; a row without a difference matches completely.
        lengths = np.where(differs.any(axis=1), differs.argmax(axis=1), len(backwards))
        found = zip(self._tokens[positions].tolist(), lengths.tolist(), strict=True)
        return [Follower(*each) for each in found if each[1] >= SHORTEST and each[0] != self._border]


def scan(tokens: NDArray[np.int32], context: Sequence[int]) -> list[Follower]:
    """`NgramIndex.followers` of a short token array, without an index."""
    if len(context) < SHORTEST or len(tokens) <= SHORTEST:
        return []
    # One pass over all tokens; the earlier ones are compared at the few places that this one leaves.
    positions = np.flatnonzero(tokens[SHORTEST - 1 : -1] == context[-1]) + SHORTEST
    for back in range(2, SHORTEST + 1):
        if not len(positions):
            return []
        positions = positions[tokens[positions - back] == context[-back]]
    found: list[Follower] = []
    for position in positions[-_MOST:].tolist():
        before = tokens[max(0, position - LONGEST) : position].tolist()
        length, longest = SHORTEST, min(len(context), len(before))
        while length < longest and before[-length - 1] == context[-length - 1]:
            length += 1
        found.append(Follower(int(tokens[position]), length))
    return [follower for follower in found if follower.token >= 0]


def _hash(context: Sequence[int]) -> int:
    """`_hashes` of one position."""
    hashed = 0
    for token in context:
        hashed = ((hashed ^ token) * 0x9E3779B1) & 0xFFFFFFFF
        hashed ^= hashed >> 15
    return hashed


def _hashes(tokens: Tokens) -> NDArray[np.uint32]:
    """A hash of the ``SHORTEST`` tokens before each position from ``SHORTEST`` on."""
    count = max(0, len(tokens) - SHORTEST)
    hashed = np.zeros(count, dtype=np.uint32)
    for start in range(SHORTEST):
        hashed = (hashed ^ tokens[start : start + count]) * np.uint32(0x9E3779B1)
        hashed ^= hashed >> np.uint32(15)
    return hashed
