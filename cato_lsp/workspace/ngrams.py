"""An index of n-grams in flat arrays. It finds the tokens that follow a context in a set of files.

Each position of the token array is indexed by a hash of the ``SHORTEST`` tokens before it. A look-up is a binary search
for the hash. The positions found are compared with the context itself, so hash collisions only cost time.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHORTEST, LONGEST = 3, 16
"""Minimum and maximum length of a match in tokens.

On tuning places (docs/default-model.md) 3 tokens completed more lines than 2 or 5; longer matches add no information.
"""
BYTES_PER_TOKEN = 10
"""Memory for token, hash and position. Vocabularies with more than 65,534 tokens need two bytes more."""
_MOST = 32
"""Maximum number of followers per look-up, those with the longest matches."""
_COMPARED = 256
"""Maximum number of positions that are compared per look-up. If there are more, an evenly spaced sample is used."""

Tokens = NDArray[np.unsignedinteger[Any]]
Follower = tuple[int, int]
"""A token that follows the context at one position, and the length of the match, ``SHORTEST`` to ``LONGEST``."""
_NOTHING = np.empty(0, dtype=np.int64)
_OFFSETS = -np.arange(LONGEST + 1, dtype=np.int32)
_TOKEN_BYTES = array("i").itemsize


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
        positions = self._positions_after(_hash(context[-SHORTEST:]))
        if len(without) and len(positions):
            # Within a range there is an odd number of beginnings and ends before a position.
            positions = positions[without.searchsorted(positions, side="right") % 2 == 0]
        if not len(positions):
            return []
        backwards = np.array(context[: -LONGEST - 1 : -1], dtype=np.int64)
        windows = self._tokens[positions[:, None] + _OFFSETS[: len(backwards) + 1]]
        differs = np.ones(windows.shape, dtype=np.bool_)
        np.not_equal(windows[:, 1:], backwards, out=differs[:, :-1])
        # The length of the match is that before the first difference; the last column always differs.
        following, lengths = windows[:, 0], differs.argmax(axis=1)
        if len(lengths) > _MOST:
            longest = np.argpartition(-lengths, _MOST)[:_MOST]
            following, lengths = following[longest], lengths[longest]
        found = zip(following.tolist(), lengths.tolist(), strict=True)
        return [each for each in found if each[1] >= SHORTEST and each[0] != self._border]

    def _positions_after(self, hashed: int) -> NDArray[np.int32]:
        """At most `_COMPARED` positions whose context has a hash."""
        wanted = np.uint32(hashed)
        first = int(self._hashes.searchsorted(wanted))
        # Nearly all hashes are rare: their end is near.
        count = int(self._hashes[first : first + _COMPARED].searchsorted(wanted, side="right"))
        if count == _COMPARED:
            count = int(self._hashes[first:].searchsorted(wanted, side="right"))
        return self._positions[first : first + count : max(1, -(-count // _COMPARED))]


class TokenText:
    """`NgramIndex` for one short text, without an index.

    :param tokens: the tokens, with -1 in place of omitted text.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = list(tokens)
        self._bytes = _bytes_of(self._tokens)

    def followers(self, context: Sequence[int]) -> list[Follower]:
        """Find the last tokens that follow the context, at most `_MOST`."""
        found: list[Follower] = []
        if len(context) < SHORTEST:
            return found
        wanted, tokens = _bytes_of(context[-SHORTEST:]), self._tokens
        longest = min(len(context), LONGEST)
        end = len(self._bytes) - _TOKEN_BYTES
        while len(found) < _MOST and (at := self._bytes.rfind(wanted, 0, max(0, end))) >= 0:
            end = at + len(wanted) - 1
            position = at // _TOKEN_BYTES + SHORTEST
            if at % _TOKEN_BYTES or tokens[position] < 0:
                continue
            length = SHORTEST
            while length < min(longest, position) and tokens[position - length - 1] == context[-length - 1]:
                length += 1
            found.append((tokens[position], length))
        return found


def _bytes_of(tokens: Sequence[int]) -> bytes:
    return array("i", tokens).tobytes()


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
