"""The time of an engine step, learned from the engine's own steps."""

from __future__ import annotations

from dataclasses import dataclass

_SCALE = (1.0, 1e3, 1e2, 1e5)
_PRIOR = (5e-3, 25e-3, 1e-3, 1.5e-3)
_WINDUP = 1e6
FORGETTING = 0.998
"""Weight of a step against the one after it in the fit: half of the weight is in the last 350 steps."""
RECENT = 0.05
"""Weight of the last step in running means."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """What one finished step computed and how long it took; what the cost model learns from."""

    tokens: int
    """Tokens computed."""
    sequences: int
    """Requests that took part."""
    context: int
    """Sum over those requests of the tokens attended to (their length at the end of the step)."""
    seconds: float


@dataclass(frozen=True, slots=True)
class StepCosts:
    """What this machine needs for a step, in seconds: a linear model of the step's contents.

    The defaults are a guess for a machine of which nothing is known yet.
    """

    fixed: float = 5e-3
    """Cost of a step however little it computes."""
    per_token: float = 25e-6
    """Cost of each token computed, prefill or decode."""
    per_sequence: float = 1e-5
    """Cost of each request that takes part."""
    per_context: float = 1.5e-8
    """Cost of each token of context attended to."""
    recent_step: float = 0.02
    """Mean length of the recent steps under the load of the moment: the time between two tokens of an answer."""
    error: float = 0.0
    """Mean absolute error of the recent predictions."""
    steps: int = 0
    """How many steps these figures were learned from; 0 for the defaults."""

    def seconds(self, tokens: int, sequences: int, context: int) -> float:
        """Predicted seconds of a step.

        :param tokens: tokens computed, over all requests.
        :param sequences: requests that take part.
        :param context: sum over those requests of the tokens attended to.
        """
        return self.fixed + self.per_token * tokens + self.per_sequence * sequences + self.per_context * context


class StepCostModel:
    """Learns `StepCosts` by recursive least squares with exponential forgetting.

    Haykin, Adaptive Filter Theory, ch. 10. No cost is ever negative. A step counts for at most twice its prediction, so
    that a pause of the process or a compilation changes little.
    """

    def __init__(self) -> None:
        self._weights = list(_PRIOR)
        self._covariance = [[1e2 if i == j else 0.0 for j in range(4)] for i in range(4)]
        self.costs = StepCosts()
        """What is known now. Replaced after each step, never changed: any thread may read it."""

    def learn(self, cost: StepCost) -> None:
        """Take in one finished step."""
        # Written out, since it runs in every step: x is 1, x1, x2, x3.
        x1, x2, x3 = cost.tokens / _SCALE[1], cost.sequences / _SCALE[2], cost.context / _SCALE[3]
        known, covariance = self.costs, self._covariance
        w0, w1, w2, w3 = self._weights
        predicted = w0 + w1 * x1 + w2 * x2 + w3 * x3
        seconds = min(cost.seconds, 2.0 * max(predicted, known.fixed)) if known.steps else cost.seconds
        p0, p1, p2, p3 = px = [r0 + r1 * x1 + r2 * x2 + r3 * x3 for r0, r1, r2, r3 in covariance]
        gain_of = FORGETTING + (p0 + x1 * p1 + x2 * p2 + x3 * p3)
        gains = [p / gain_of for p in px]
        error = seconds - predicted
        w0, w1, w2, w3 = self._weights = [w + g * error for w, g in zip((w0, w1, w2, w3), gains, strict=True)]
        trace = covariance[0][0] + covariance[1][1] + covariance[2][2] + covariance[3][3]
        grow = 1.0 if trace > _WINDUP else 1.0 / FORGETTING
        self._covariance = [
            [(r0 - gain * p0) * grow, (r1 - gain * p1) * grow, (r2 - gain * p2) * grow, (r3 - gain * p3) * grow]
            for gain, (r0, r1, r2, r3) in zip(gains, covariance, strict=True)
        ]
        self.costs = StepCosts(
            fixed=max(w0 / _SCALE[0], 1e-5),
            per_token=max(w1 / _SCALE[1], 1e-8),
            per_sequence=max(w2, 0.0) / _SCALE[2],
            per_context=max(w3, 0.0) / _SCALE[3],
            recent_step=known.recent_step + RECENT * (cost.seconds - known.recent_step),
            error=known.error + RECENT * (abs(error) - known.error),
            steps=known.steps + 1,
        )
