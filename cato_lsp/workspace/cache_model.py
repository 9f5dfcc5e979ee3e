"""A cache model: mixes tokens that follow the same context in the workspace into the model's distribution.

Witten-Bell back-off from n-gram counts into the neural distribution, after the nested cache of Hellendoorn and Devanbu
(FSE 2017), with the language model as the base::

    p = p_model
    for n = SHORTEST .. longest match:
        p = (counts + b * T * p) / (C + b * T)    # C: sum of the counts, T: number of distinct followers
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from cato_lsp.workspace.ngrams import LONGEST, SHORTEST, Follower, TokenText

_OPEN_DOCUMENT = 3.0
"""Weight of matches in the open document; matches in other files have weight 1."""
_BACK_OFF = 2.0

Mixture = tuple[float, dict[int, float]]
"""The factor of the model's distribution, and the probability added to single tokens."""


class Followers(Protocol):
    """An index in which contexts are looked up."""

    def followers(self, context: Sequence[int]) -> list[Follower]:
        """The tokens that follow a context."""
        ...


class CacheModel:
    """The cache model of one call.

    :param before: the tokens before the answer.
    :param document: tokens of the open document, with -1 in place of omitted text.
    :param workspace: an index of other files.
    """

    def __init__(self, before: Sequence[int], document: Sequence[int], workspace: Followers | None = None) -> None:
        self._before = list(before[-LONGEST:])
        self._document = TokenText(document)
        self._workspace = workspace

    def mixture(self, written: Sequence[int], allowed: Callable[[list[int]], list[bool]]) -> Mixture | None:
        """The mixture for the next token; ``None`` if the context was not found.

        :param written: the tokens of the answer so far.
        :param allowed: filters a list of tokens to those that may come next.
        """
        context = [*self._before, *written[-LONGEST:]][-LONGEST:]
        counts: dict[Follower, float] = {}
        for each in self._document.followers(context):
            counts[each] = counts.get(each, 0.0) + _OPEN_DOCUMENT
        for each in self._workspace.followers(context) if self._workspace is not None else ():
            counts[each] = counts.get(each, 0.0) + 1.0
        if not counts:
            return None
        tokens = list({token for token, _ in counts})
        fitting = {token for token, fits in zip(tokens, allowed(tokens), strict=True) if fits}
        levels: dict[int, dict[int, float]] = {}
        for (token, length), count in counts.items():
            if token in fitting:
                levels.setdefault(length, {})[token] = count
        return _witten_bell(levels) if levels else None

    def __deepcopy__(self, memo: object) -> CacheModel:
        """Returns itself. vLLM copies the arguments of a request, and the index must not be copied."""
        return self


def _witten_bell(exact: dict[int, dict[int, float]]) -> Mixture:
    """Combine the counts from short to long matches.

    :param exact: for each length of the match, how often each token follows a match of exactly that length.
    """
    levels: list[tuple[int, dict[int, float]]] = []
    counts: dict[int, float] = {}
    for length in sorted(exact, reverse=True):
        counts = counts.copy()
        for token, count in exact[length].items():
            counts[token] = counts.get(token, 0.0) + count
        levels.append((length, counts))
    factor, added, shorter = 1.0, dict[int, float](), SHORTEST - 1
    for length, counts in reversed(levels):
        total, back_off = sum(counts.values()), _BACK_OFF * len(counts)
        # The lengths between two levels have the counts of the longer one: the same step, several times.
        keep = (back_off / (total + back_off)) ** (length - shorter)
        factor *= keep
        # Tokens that follow a short match but no longer one only lose weight.
        added = {token: share * keep for token, share in added.items()}
        for token, count in counts.items():
            added[token] = added.get(token, 0.0) + count / total * (1 - keep)
        shorter = length
    return factor, added
