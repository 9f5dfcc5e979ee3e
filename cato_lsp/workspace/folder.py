"""The index of one folder. It has two parts: one built from all files, and a small one with the files changed since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from cato_lsp.workspace.ngrams import BYTES_PER_TOKEN, Follower, NgramIndex, Tokens

MOST_BYTES = 80_000_000
"""Maximum size of an index in bytes. During a rebuild, parts of it are in memory twice."""
_MOST_RECENT = 200_000
"""When the changed files have more tokens than this, the parts are merged."""
Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class _State:
    """The immutable state of an index. It is replaced as a whole, so look-ups need no lock."""

    base: NgramIndex
    recent: NgramIndex
    outdated: NDArray[np.int64]
    """Where ranges in ``base`` begin and end whose files are in ``recent``, in order."""


class FolderIndex:
    """Finds the tokens that follow a context in a folder's files.

    One thread updates it; look-ups may run in any thread.
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
        """Size in memory in bytes."""
        return BYTES_PER_TOKEN * (self._state.base.size + self._state.recent.size)

    def followers(self, context: Sequence[int]) -> list[Follower]:
        """The tokens that follow a context."""
        state = self._state
        return state.base.followers(context, state.outdated) + state.recent.followers(context)

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
        self._state = _State(NgramIndex(tokens), NgramIndex({}), _boundaries([]))

    def change(self, files: Iterable[tuple[str, str]], encode: Encode) -> None:
        """Update the index with changed or new files, ``(path, text)``. An empty text removes a file."""
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
