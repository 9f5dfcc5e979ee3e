"""The index of one folder. It has two parts: one built from all files, and a small one with the files changed since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from cato_lsp.workspace.ngrams import BYTES_PER_TOKEN, Follower, NgramIndex, Tokens

MOST_BYTES = 80_000_000
"""Maximum size of an index in bytes. During a rebuild, parts of it are in memory twice."""
_MOST_RECENT = 200_000
"""When the changed files have more tokens than this, the parts are merged."""
_ANCHOR = 8
"""Tokens at either end of a part of a file by which the part is found in the file."""
Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class IndexState:
    """The immutable state of an index. It is replaced as a whole, so look-ups need no lock."""

    base: NgramIndex
    recent: NgramIndex
    outdated: NDArray[np.int64]
    """Where ranges in ``base`` begin and end that do not count, in order: the files that are in ``recent``."""
    hidden: NDArray[np.int64]
    """The same for ``recent``."""

    def followers(self, context: Sequence[int]) -> list[Follower]:
        """The tokens that follow a context."""
        return self.base.followers(context, self.outdated) + self.recent.followers(context, self.hidden)

    def outside(self, path: str, part: Sequence[int]) -> IndexState:
        """See `FolderIndex.outside`."""
        if path in self.recent.ranges:
            return replace(self, hidden=_range_of(self.recent, path, part))
        if path in self.base.ranges:
            added = _range_of(self.base, path, part)
            return replace(self, outdated=np.sort(np.concatenate([self.outdated, added])))
        return self


class FolderIndex:
    """Finds the tokens that follow a context in a folder's files.

    One thread updates it; look-ups may run in any thread.
    """

    def __init__(self) -> None:
        empty = NgramIndex({})
        self._state = IndexState(empty, empty, _boundaries([]), _boundaries([]))

    @property
    def files(self) -> frozenset[str]:
        """The paths of all files."""
        return frozenset(self._state.base.ranges) | frozenset(self._state.recent.ranges)

    @property
    def size(self) -> int:
        """Size in memory in bytes."""
        return BYTES_PER_TOKEN * (self._state.base.size + self._state.recent.size)

    def followers(self, context: Sequence[int]) -> list[Follower]:
        """The tokens that follow a context."""
        return self._state.followers(context)

    def outside(self, path: str, part: Sequence[int]) -> IndexState:
        """The index as it is now, without a part of a file.

        For the part of the open document that a prompt contains: it counts as it is now. The index has it as it was a
        moment ago, and would expect at the cursor what stands after the cursor.

        :param part: its tokens, with -1 in place of omitted text. An end of it that the file does not contain any more
            is taken to be the file's.
        """
        return self._state.outside(path, part)

    def build(self, files: Iterable[tuple[str, str]], encode: Encode) -> None:
        """Index files, given as ``(path, text)``, up to the maximum size."""
        tokens: dict[str, Tokens | Sequence[int]] = {}
        left = MOST_BYTES // BYTES_PER_TOKEN
        for path, text in files:
            ids = encode(text)
            left -= len(ids)
            if left < 0:
                break
            tokens[path] = ids
        self._state = _merged(tokens)

    def change(self, files: Iterable[tuple[str, str]], encode: Encode) -> None:
        """Update the index with changed or new files, ``(path, text)``. An empty text removes a file."""
        base, recent = self._state.base, self._state.recent
        tokens: dict[str, Tokens | Sequence[int]] = {path: recent.file(path) for path in recent.ranges}
        tokens |= {path: encode(text) for path, text in files}
        if sum(map(len, tokens.values())) > _MOST_RECENT:
            tokens |= {path: base.file(path) for path in base.ranges if path not in tokens}
            self._state = _merged(_largest_beginning(tokens))
        else:
            outdated = _boundaries(base.ranges[path] for path in tokens if path in base.ranges)
            self._state = IndexState(base, NgramIndex(tokens), outdated, _boundaries([]))


def _merged(files: dict[str, Tokens | Sequence[int]]) -> IndexState:
    """A state with all files in one part."""
    return IndexState(NgramIndex(files), NgramIndex({}), _boundaries([]), _boundaries([]))


def _boundaries(ranges: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """The beginnings and ends of ranges that do not overlap, in order."""
    return np.array(sorted(ranges), dtype=np.int64).reshape(-1)


def _largest_beginning(files: dict[str, Tokens | Sequence[int]]) -> dict[str, Tokens | Sequence[int]]:
    """The first files, as far as an index may hold them."""
    sizes = accumulate(len(tokens) * BYTES_PER_TOKEN for tokens in files.values())
    return {path: files[path] for path, size in zip(files, sizes, strict=True) if size <= MOST_BYTES}


def _range_of(index: NgramIndex, path: str, part: Sequence[int]) -> NDArray[np.int64]:
    """Where a part of a file begins and ends in the index. Its first and last token may differ from the file's."""
    tokens, (start, end) = index.file(path), index.ranges[path]
    begins = _occurrences(tokens, part[1 : 1 + _ANCHOR])
    ends = _occurrences(tokens, part[-1 - _ANCHOR : -1])
    first = start + int(begins[0]) if len(begins) else start
    last = start + int(ends[-1]) + _ANCHOR if len(ends) else end
    return _boundaries([(first, last) if first < last else (start, end)])


def _occurrences(tokens: Tokens, part: Sequence[int]) -> NDArray[np.int64]:
    """The positions where a sequence of `_ANCHOR` tokens begins; none if it is shorter."""
    if len(part) < _ANCHOR or len(tokens) < _ANCHOR:
        return _boundaries([])
    positions = np.flatnonzero(tokens[: 1 - _ANCHOR] == part[0])
    for offset, token in enumerate(part):
        positions = positions[tokens[positions + offset] == token]
    return positions
