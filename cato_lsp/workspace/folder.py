"""The index of one folder: most of its files in one part, those that have changed since in another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from cato_lsp.workspace.ngrams import BYTES_PER_TOKEN, Follower, NgramIndex, Tokens

MOST_BYTES = 80_000_000
"""Of an index; a rebuild holds a part of it twice."""
_MOST_RECENT = 200_000
"""Tokens of changed files above which all is put together again."""
Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class _State:
    """What look-ups see: replaced as a whole, so that they need no lock."""

    base: NgramIndex
    recent: NgramIndex
    outdated: NDArray[np.int64]
    """Where ranges in ``base`` begin and end whose files are in ``recent``, in order."""


class FolderIndex:
    """Which tokens follow a context in a folder's files.

    One thread changes it; any thread looks up.
    """

    def __init__(self) -> None:
        empty = NgramIndex({})
        self._state = _State(empty, empty, _boundaries([]))

    @property
    def files(self) -> frozenset[str]:
        """The paths of all files."""
        return frozenset(self._state.base.ranges) | frozenset(self._state.recent.ranges)

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return BYTES_PER_TOKEN * (self._state.base.size + self._state.recent.size)

    def followers(self, context: Sequence[int]) -> list[Follower]:
        """What stands after a context."""
        state = self._state
        return state.base.followers(context, state.outdated) + state.recent.followers(context)

    def build(self, files: Iterable[tuple[str, str]], encode: Encode) -> None:
        """Index the files, ``(path, text)``, until the index has its largest size."""
        tokens: dict[str, Tokens | Sequence[int]] = {}
        left = MOST_BYTES // BYTES_PER_TOKEN
        for path, text in files:
            ids = encode(text)
            left -= len(ids)
            if left < 0:
                break
            tokens[path] = ids
        self._state = _State(NgramIndex(tokens), NgramIndex({}), _boundaries([]))

    def change(self, files: Iterable[tuple[str, str]], encode: Encode) -> None:
        """Index files again, ``(path, text)``, that have changed or are new; an empty text takes a file out."""
        base, recent = self._state.base, self._state.recent
        tokens: dict[str, Tokens | Sequence[int]] = {path: recent.file(path) for path in recent.ranges}
        tokens |= {path: encode(text) for path, text in files}
        if sum(map(len, tokens.values())) > _MOST_RECENT:
            tokens |= {path: base.file(path) for path in base.ranges if path not in tokens}
            self._state = _State(NgramIndex(_largest_beginning(tokens)), NgramIndex({}), _boundaries([]))
        else:
            outdated = _boundaries(base.ranges[path] for path in tokens if path in base.ranges)
            self._state = _State(base, NgramIndex(tokens), outdated)


def _boundaries(ranges: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """The beginnings and ends of ranges that do not overlap, in order."""
    return np.array(sorted(ranges), dtype=np.int64).reshape(-1)


def _largest_beginning(files: dict[str, Tokens | Sequence[int]]) -> dict[str, Tokens | Sequence[int]]:
    """The first files, as far as an index may hold them."""
    sizes = accumulate(len(tokens) * BYTES_PER_TOKEN for tokens in files.values())
    return {path: files[path] for path, size in zip(files, sizes, strict=True) if size <= MOST_BYTES}
