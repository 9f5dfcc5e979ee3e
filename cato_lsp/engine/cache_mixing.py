"""Mixes a cache model into the distribution: a logits processor of vLLM's first model runner, the one on CPUs.

A token that is chosen is scored by the probability that it is right, as a logistic regression on its probabilities
before and after the mixing estimates it. The mixed ones alone are too sure of themselves, the model's own know nothing
of the workspace.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, cast

import numpy as np
import torch
from numpy.typing import NDArray

from cato_lsp.engine.api import TokenCache
from cato_lsp.engine.row_processor import RowProcessor

EXTRA_ARGUMENT = "cato_cache"
"""Key of the `Scored` in `SamplingParams.extra_args`."""

_INTERCEPT, _OWN, _MIXED = -0.49, 0.14, 0.42
"""Weights of the score, from `scripts/fit_cache.py`: of 1, and of the log-odds before and after the mixing."""
_LEAST = 1e-4
"""Probabilities are taken to be at least this and at most 1 less this."""


@dataclass(slots=True)
class Scored:
    """The cache of a call, and how likely its tokens are."""

    cache: TokenCache
    log_probabilities: dict[int, float] = field(default_factory=dict[int, float])
    """By the number of the token in the answer; of the likeliest token."""
    read: int = 0

    def take(self, tokens: int) -> float:
        """The log-probability of the next tokens, all together."""
        start, self.read = self.read, self.read + tokens
        return sum(self.log_probabilities.pop(number, 0.0) for number in range(start, self.read))

    def __deepcopy__(self, memo: object) -> Self:
        """Itself: what the processor writes is read elsewhere."""
        return self


@dataclass(frozen=True, slots=True)
class _Row:
    scored: Scored
    output: Sequence[int]
    """vLLM appends to it itself."""


class CacheMixingProcessor(RowProcessor[_Row]):
    """Mixes the rows of calls that have a cache. Comes after what makes tokens impossible."""

    argument = EXTRA_ARGUMENT

    def make_row(self, value: object, output: list[int]) -> _Row | None:
        """The cache of a call that has one."""
        return _Row(value, output) if isinstance(value, Scored) else None

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Mix each row, and score its likeliest token."""
        for number, row in self.rows.items():
            _mix(logits[number], row)
        return logits


def _mix(logits: torch.Tensor, row: _Row) -> None:
    values = cast("NDArray[np.float32]", logits.numpy())  # The memory is shared. numpy's calls take less time.
    largest = float(values.max())
    total = float(np.exp(values - largest).sum())
    own = mixed = 1 / total  # of the likeliest token
    mixture = row.scored.cache.mixture(row.output, lambda tokens: (values[tokens] > -np.inf).tolist())
    if mixture is not None:
        factor, added = mixture
        mixed *= factor
        # A factor of all probabilities does not change the distribution that logits stand for.
        for token, value in zip(added, values[list(added)].tolist(), strict=True):
            before = math.exp(value - largest) / total
            after = before * factor + added[token]
            values[token] = largest + math.log(after / factor * total)
            if after > mixed:
                own, mixed = before, after
    row.scored.log_probabilities[len(row.output)] = math.log(own) if mixture is None else log_score(own, mixed)


def log_score(own: float, mixed: float) -> float:
    """The logarithm of the probability that a token is right.

    :param own: its probability before the mixing.
    :param mixed: its probability after the mixing.
    """
    return -math.log1p(math.exp(-(_INTERCEPT + _OWN * log_odds(own) + _MIXED * log_odds(mixed))))


def log_odds(probability: float) -> float:
    """The logarithm of ``p / (1 - p)``, for probabilities from `_LEAST` to 1 less it."""
    probability = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(probability / (1 - probability))
