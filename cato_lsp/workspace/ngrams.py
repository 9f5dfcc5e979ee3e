"""Which tokens follow a context in a set of files: an index of n-grams in two flat arrays.

Each position of the token array is filed under a hash of the ``SHORTEST`` tokens before it. A look-up is a binary
search for the hash; the positions found are compared with the context itself, so a collision costs time and nothing
else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHORTEST, LONGEST = 5, 16
"""Tokens of a context: fewer tell too little, more tell nothing new."""
BYTES_PER_TOKEN = 10
"""Of an index: token, hash and position."""
_MOST = 64
"""Positions that are compared per look-up; of more, an even choice is taken."""
_BORDER = 0xFFFF
"""Stands between files; no token of the vocabularies that are indexed."""

Tokens = NDArray[np.uint16]
_OFFSETS = np.arange(-LONGEST, 0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Follower:
    """A token that stands after the context somewhere."""

    token: int
    length: int
    """Tokens of the context that stand before it there, ``SHORTEST`` to ``LONGEST``."""


class NgramIndex:
    """An immutable index of files.

    :param files: the tokens of each file, by its path.
    """

    def __init__(self, files: Mapping[str, Sequence[int] | Tokens]) -> None:
        border = np.full(LONGEST, _BORDER, dtype=np.uint16)
        parts: list[Tokens] = [border]
        self.ranges: dict[str, tuple[int, int]] = {}
        """Where in the token array each file stands."""
        at = LONGEST
        for path, ids in files.items():
            tokens = np.asarray(ids, dtype=np.uint16)
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

    def followers(self, context: Sequence[int], without: Iterable[tuple[int, int]] = ()) -> list[Follower]:
        """What stands after the context, at most `_MOST` times.

        :param context: the last tokens; fewer than ``SHORTEST`` find nothing.
        :param without: ranges of the token array that are out of date.
        """
        if len(context) < SHORTEST:
            return []
        last = np.asarray(context[-LONGEST:], dtype=np.int64)
        wanted = _hashes(np.append(last[-SHORTEST:], 0).astype(np.uint16))[0]
        first = int(np.searchsorted(self._hashes, wanted))
        end = int(np.searchsorted(self._hashes, wanted, side="right"))
        if first == end:
            return []
        positions = self._positions[first : end : -(-(end - first) // _MOST)].astype(np.int64)
        for start, stop in without:
            positions = positions[(positions < start) | (positions >= stop)]
        before = self._tokens[positions[:, None] + _OFFSETS[-len(last) :]]
        lengths = np.logical_and.accumulate((before == last)[:, ::-1], axis=1).sum(axis=1)
        tokens = self._tokens[positions]
        found = zip(tokens.tolist(), lengths.tolist(), strict=True)
        return [Follower(token, length) for token, length in found if length >= SHORTEST and token != _BORDER]


def scan(tokens: NDArray[np.int64], context: Sequence[int]) -> list[Follower]:
    """`NgramIndex.followers` of a short token array, without an index."""
    count = len(tokens) - SHORTEST
    if len(context) < SHORTEST or count < 1:
        return []
    last = context[-SHORTEST:]
    alike = tokens[SHORTEST - 1 : -1] == last[-1]
    for back in range(2, SHORTEST + 1):
        alike &= tokens[SHORTEST - back : SHORTEST - back + count] == last[-back]
    found: list[Follower] = []
    for position in (np.flatnonzero(alike) + SHORTEST).tolist()[-_MOST:]:
        length = SHORTEST
        while length < min(LONGEST, len(context), position) and tokens[position - length - 1] == context[-length - 1]:
            length += 1
        found.append(Follower(int(tokens[position]), length))
    return [follower for follower in found if follower.token >= 0]


def _hashes(tokens: Tokens) -> NDArray[np.uint32]:
    """A hash of the ``SHORTEST`` tokens before each position from ``SHORTEST`` on."""
    count = max(0, len(tokens) - SHORTEST)
    hashed = np.zeros(count, dtype=np.uint32)
    for start in range(SHORTEST):
        hashed = (hashed ^ tokens[start : start + count]) * np.uint32(0x9E3779B1)
        hashed ^= hashed >> np.uint32(15)
    return hashed
