"""How long a step takes, learned from the engine's own steps."""

from __future__ import annotations

from collections.abc import Sequence

from cato_lsp.scheduling.view import StepCost

_SCALE = (1.0, 1e3, 1e2, 1e5)
_PRIOR = (5e-3, 25e-3, 1e-3, 1.5e-3)
_WINDUP = 1e6


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]


class StepCostModel:
    """Step time as `fixed + per_token·tokens + per_sequence·sequences + per_context·context`, never negative.

    Fitted by recursive least squares with exponential forgetting (Haykin, Adaptive Filter Theory, ch. 10). Steps that
    took many times longer than predicted (a pause of the process, a compilation) count only in part.
    """

    def __init__(self, forgetting: float = 0.998) -> None:
        self._forgetting = forgetting
        self._weights = list(_PRIOR)
        self._covariance = [[1e2 if i == j else 0.0 for j in range(4)] for i in range(4)]
        self._seen = 0
        self._publish()

    def learn(self, cost: StepCost) -> None:
        """Take in one finished step."""
        x = (1.0, cost.tokens / _SCALE[1], cost.sequences / _SCALE[2], cost.context / _SCALE[3])
        weights, covariance = self._weights, self._covariance
        predicted = _dot(weights, x)
        seconds = cost.seconds
        if self._seen > 32:
            seconds = min(seconds, 4.0 * max(predicted, self.fixed))
        px = [_dot(row, x) for row in covariance]
        gain_of = self._forgetting + _dot(x, px)
        error = seconds - predicted
        for i in range(4):
            weights[i] += px[i] / gain_of * error
        grow = 1.0 / self._forgetting
        if covariance[0][0] + covariance[1][1] + covariance[2][2] + covariance[3][3] > _WINDUP:
            grow = 1.0
        for i in range(4):
            row, gain = covariance[i], px[i] / gain_of
            covariance[i] = [(r - gain * p) * grow for r, p in zip(row, px, strict=True)]
        self._seen += 1
        self._publish()

    def _publish(self) -> None:
        weights = [max(w, 0.0) / s for w, s in zip(self._weights, _SCALE, strict=True)]
        self.fixed = max(weights[0], 1e-5)
        """Seconds of a step however little it computes."""
        self.per_token = max(weights[1], 1e-8)
        self.per_sequence = weights[2]
        self.per_context = weights[3]

    def seconds(self, tokens: int, sequences: int, context: int) -> float:
        """Predicted seconds of a step."""
        return self.fixed + self.per_token * tokens + self.per_sequence * sequences + self.per_context * context
