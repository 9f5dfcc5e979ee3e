"""How much of an answer is likely to be right, as far as the model's own probabilities tell."""

from __future__ import annotations

import math


class Confidence:
    """Follows the joint probability of an answer's tokens: that all of the answer so far is right.

    :param least: probability below which no more of the answer is shown; 0: all of it is.
    """

    def __init__(self, least: float = 0.0) -> None:
        self._least = math.log(least) if least > 0 else -math.inf
        self.log_probability = 0.0
        """Natural logarithm of the joint probability."""

    def add(self, log_probability: float) -> bool:
        """Take in the next tokens, with the natural logarithm of their probability; false: they are too unlikely."""
        self.log_probability += log_probability
        return self.log_probability >= self._least
