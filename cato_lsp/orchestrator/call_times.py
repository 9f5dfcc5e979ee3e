"""Predicts how long calls take, from the step costs that the engine has learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.tasks.calls import CallEstimate

MOST_CALLS = 8
"""Calls of one task that run at the same time. On a slow machine more would delay completions."""
_WEIGHT = 0.2
"""Weight of a new answer in `LengthRatio`."""
_LARGEST_RATIO = 4.0
"""An answer counts as at most this many times its expected length."""


@dataclass(slots=True)
class LengthRatio:
    """Tokens of an answer for each expected token: an exponential moving average over the answers of tasks."""

    value: float = 1.0

    def learn(self, call: CallEstimate, answered: int) -> None:
        """Take in an answer of ``answered`` tokens."""
        if call.answer_tokens:
            self.value += _WEIGHT * (min(answered / call.answer_tokens, _LARGEST_RATIO) - self.value)


@dataclass(frozen=True, slots=True)
class CallTimes:
    """Predicted times of calls, in seconds.

    :param costs: what a step costs.
    :param length_ratio: tokens of an answer for each expected token.
    """

    costs: StepCosts
    length_ratio: float = 1.0

    def first_token(self, prompt_tokens: int) -> float:
        """Time to the first token of a prompt that is not in the prefix cache, if the call does not have to wait."""
        return self.costs.seconds(prompt_tokens, 1, prompt_tokens)

    def next_token(self, context: int) -> float:
        """Time from one token of an answer to the next, behind ``context`` tokens, if nothing else runs."""
        return self.costs.seconds(1, 1, context)

    def seconds(self, call: CallEstimate) -> float:
        """Time of a call, if it does not have to wait and nothing else runs."""
        return self.first_token(call.prompt_tokens) + self._further(call) * self.next_token(call.prompt_tokens)

    def load(self, call: CallEstimate) -> float:
        """Time by which a call delays others that run in the same steps: all but the fixed cost of those steps."""
        return self.seconds(call) - (1 + self._further(call)) * self.costs.fixed

    def together(self, calls: Sequence[CallEstimate]) -> float:
        """Time of several calls that run at the same time, `MOST_CALLS` at once."""
        alone = [self.seconds(call) for call in calls]
        if not alone:
            return 0.0
        longest = max(range(len(alone)), key=alone.__getitem__)
        others = sum(self.load(call) for number, call in enumerate(calls) if number != longest)
        return max(alone[longest], sum(alone) / MOST_CALLS) + others

    def under_load(self) -> CallTimes:
        """The times while the engine stays as busy as it has been lately."""
        costs = self.costs
        busy = costs.recent_step - costs.per_token - costs.per_sequence
        return replace(self, costs=replace(costs, fixed=max(costs.fixed, busy)))

    def _further(self, call: CallEstimate) -> float:
        """Tokens of the answer after the first one, which comes with the step that ends the prompt."""
        return max(0.0, call.answer_tokens * self.length_ratio - 1)
