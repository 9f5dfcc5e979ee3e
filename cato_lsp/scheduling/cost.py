"""How long a step takes, learned from the engine's own steps."""

from __future__ import annotations

from cato_lsp.scheduling.view import StepCost

_SCALE = (1.0, 1e3, 1e2, 1e5)
_PRIOR = (5e-3, 25e-3, 1e-3, 1.5e-3)
_WINDUP = 1e6


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
        # Written out, since it runs in every step: x is 1, x1, x2, x3.
        x1, x2, x3 = cost.tokens / _SCALE[1], cost.sequences / _SCALE[2], cost.context / _SCALE[3]
        covariance = self._covariance
        w0, w1, w2, w3 = self._weights
        predicted = w0 + w1 * x1 + w2 * x2 + w3 * x3
        seconds = cost.seconds
        if self._seen > 32:
            seconds = min(seconds, 4.0 * max(predicted, self.fixed))
        p0, p1, p2, p3 = px = [r0 + r1 * x1 + r2 * x2 + r3 * x3 for r0, r1, r2, r3 in covariance]
        gain_of = self._forgetting + (p0 + x1 * p1 + x2 * p2 + x3 * p3)
        gains = [p / gain_of for p in px]
        error = seconds - predicted
        self._weights = [w + gain * error for w, gain in zip((w0, w1, w2, w3), gains, strict=True)]
        grow = 1.0 / self._forgetting
        if covariance[0][0] + covariance[1][1] + covariance[2][2] + covariance[3][3] > _WINDUP:
            grow = 1.0
        self._covariance = [
            [(r0 - gain * p0) * grow, (r1 - gain * p1) * grow, (r2 - gain * p2) * grow, (r3 - gain * p3) * grow]
            for gain, (r0, r1, r2, r3) in zip(gains, covariance, strict=True)
        ]
        self._seen += 1
        self._publish()

    def _publish(self) -> None:
        w0, w1, w2, w3 = self._weights
        self.fixed = max(w0 / _SCALE[0], 1e-5)
        """Seconds of a step however little it computes."""
        self.per_token = max(w1 / _SCALE[1], 1e-8)
        self.per_sequence = max(w2, 0.0) / _SCALE[2]
        self.per_context = max(w3, 0.0) / _SCALE[3]

    def seconds(self, tokens: int, sequences: int, context: int) -> float:
        """Predicted seconds of a step."""
        return self.fixed + self.per_token * tokens + self.per_sequence * sequences + self.per_context * context
