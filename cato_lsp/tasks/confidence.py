"""How sure a model is of an answer, as far as its own probabilities tell."""

from __future__ import annotations

import math

FIRST_TOKENS = 8
"""Tokens of an answer that are judged: more tell hardly more (docs/benchmarks.md), and fewer end the call sooner."""


class Confidence:
    """The geometric mean of the probabilities of an answer's first tokens."""

    def __init__(self) -> None:
        self._tokens = 0
        self._sum = 0.0

    def add(self, tokens: int, log_probability: float) -> None:
        """Take in the next tokens, with the natural logarithm of their probability together."""
        if not self.settled:
            self._tokens += tokens
            self._sum += log_probability

    @property
    def settled(self) -> bool:
        """Whether more tokens change nothing."""
        return self._tokens >= FIRST_TOKENS

    @property
    def value(self) -> float:
        """From 0 to 1; 1 for nothing."""
        return math.exp(self._sum / self._tokens) if self._tokens else 1.0
