"""What a completion is worth that needs no neural network: copy a similar line, or follow 5-grams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from evaluation.places import Place

Ids = NDArray[np.int64]
_WINDOW = 6000
"""Characters before and after the cursor that a baseline sees, about as much as the prompt builder takes."""


def copy_most_similar_line(place: Place) -> str:
    """The rest of the line in sight whose beginning agrees longest with what is typed; of equals the nearest above."""
    typed = place.line.lstrip()
    above = place.text[max(0, place.offset - _WINDOW) : place.offset].splitlines()[:-1]
    below = place.text[place.offset : place.offset + _WINDOW].splitlines()[1:]
    best, agreed = "", 0
    for line in (*reversed(above), *below):
        candidate = line.strip()
        common = _agreement(candidate, typed)
        if common > agreed and len(candidate) > common:
            best, agreed = candidate, common
    return best[agreed:] if agreed else ""


def _agreement(one: str, other: str) -> int:
    """Length of the common beginning."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


class FiveGram:
    """Greedy back-off over token 5-grams: those of the text in sight first, then those of the training files."""

    ORDER = 5

    def __init__(self, tokenizer: Tokenizer, training: Iterable[str]) -> None:
        self._tokenizer = tokenizer
        ids = [i for text in training for i in tokenizer.encode(text, add_special_tokens=False).ids]
        self._global = _Table(np.array(ids, dtype=np.int64), self.ORDER)

    def __call__(self, place: Place) -> str:
        """The rest of the line at a place. A token that the cursor may have split is generated again from its start."""
        before = place.text[max(0, place.offset - _WINDOW) : place.offset]
        after = place.text[place.offset : place.offset + _WINDOW]
        *ids, cut = self._tokenizer.encode(before, add_special_tokens=False).ids
        after_ids = self._tokenizer.encode(after, add_special_tokens=False).ids
        local = _Table(np.array(ids + after_ids, dtype=np.int64), self.ORDER)
        typed = self._tokenizer.decode([cut])
        written: list[int] = []
        while len(written) < 40:
            token = self._next([*ids, *written], local, "" if written else typed)
            if token is None or (written and "\n" in self._tokenizer.decode([token])):
                break
            written.append(token)
        return self._tokenizer.decode(written)[len(typed) :]

    def _next(self, ids: Sequence[int], local: _Table, prefix: str) -> int | None:
        """The token that is most frequent after the longest known context and starts with ``prefix``."""
        for order in range(min(self.ORDER, len(ids) + 1), 1, -1):
            for table in (local, self._global):
                for token in table.following(ids[-(order - 1) :]):
                    if not prefix or self._tokenizer.decode([token]).startswith(prefix):
                        return token
        return None


class _Table:
    """The tokens that follow each context of one to ``order - 1`` tokens."""

    def __init__(self, ids: Ids, order: int) -> None:
        self._orders = {n: _followers(ids, n) for n in range(1, order)}

    def following(self, context: Sequence[int]) -> Iterator[int]:
        """Tokens seen after ``context``, the most frequent first."""
        keys, tokens = self._orders[len(context)]
        key = _hash(np.array(context, dtype=np.int64)[None])[0]
        for at in range(int(np.searchsorted(keys, key)), len(keys)):
            if keys[at] != key:
                return
            yield int(tokens[at])


def _followers(ids: Ids, length: int) -> tuple[Ids, Ids]:
    """Context hashes and next tokens, sorted by hash and then by falling count."""
    if len(ids) <= length:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(ids, length + 1)
    keys, following = _hash(windows[:, :-1]), windows[:, -1]
    order = np.lexsort((following, keys))
    keys, following = keys[order], following[order]
    new_pair = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]) | (following[1:] != following[:-1])])
    counts = np.diff(np.r_[new_pair, len(keys)])
    keys, following = keys[new_pair], following[new_pair]
    by_count = np.lexsort((-counts, keys))
    return keys[by_count], following[by_count]


def _hash(contexts: Ids) -> Ids:
    """A 64-bit number for each row; collisions are too rare to matter."""
    key = np.zeros(len(contexts), dtype=np.uint64)
    for column in contexts.T:
        key = (key + column.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key.astype(np.int64)
