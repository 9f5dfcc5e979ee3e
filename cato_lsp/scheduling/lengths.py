"""How long answers get, from the answers that ended."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque

from cato_lsp.scheduling.slo import TaskKind

TYPICAL = {
    TaskKind.COMPLETION: 16,
    TaskKind.GENERATION: 150,
    TaskKind.SUMMARIZATION: 120,
    TaskKind.TRANSLATION: 1000,
    TaskKind.WARMUP: 1,
}
"""Tokens of a typical answer."""
WINDOW = 128
"""Answers of a kind that are remembered."""


class AnswerLengths:
    """Running quantiles of the answer lengths of each kind, over the last answers.

    Long answers end late, so the first ones seen are short; a prior of `weight` answers of a typical length
    holds against that until it is outnumbered.
    """

    def __init__(self, weight: int = WINDOW // 16) -> None:
        self._recent = {kind: deque([length] * weight, WINDOW) for kind, length in TYPICAL.items()}
        self._sorted = {kind: sorted(lengths) for kind, lengths in self._recent.items()}

    def add(self, kind: TaskKind, length: int) -> None:
        """An answer ended by itself after `length` tokens."""
        recent, ordered = self._recent[kind], self._sorted[kind]
        if len(recent) == WINDOW:
            del ordered[bisect_right(ordered, recent[0]) - 1]
        recent.append(length)
        insort(ordered, length)

    def remaining(self, kind: TaskKind, generated: int, quantile: float = 0.5) -> int:
        """The `quantile` of what is left of an answer that has `generated` tokens already (at least 1)."""
        ordered = self._sorted[kind]
        first = bisect_right(ordered, generated)
        if first == len(ordered):
            return max(1, generated // 4)
        return max(1, ordered[first + int(quantile * (len(ordered) - 1 - first))] - generated)
