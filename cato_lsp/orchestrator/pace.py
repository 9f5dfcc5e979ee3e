"""How fast this machine answers, learned from the calls that it has answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cato_lsp.tasks.calls import CallEstimate

WIDEST = 8
"""Calls of one task that run at once, at most. On a slow machine more would hold up completions."""
_WEIGHT = 0.2
"""Of a new measurement against what is known."""
_WEIGHT_OF_WAITS = 0.02
"""Of a prompt that took longer than usual: it probably waited for others, which is no work."""
_LEAST_PROMPT = 16
"""Tokens; shorter prompts say nothing about the time a token takes."""
_LEAST_SECONDS = 1e-4
"""Even the fastest machine takes so long for a prompt."""
_FAR = 4.0
"""No single measurement counts for more than so many times what is known."""


@dataclass(slots=True)
class Pace:
    """Seconds per token, before anything is known those of a small model on a few CPU cores."""

    prompt_token: float = 0.5e-3
    """Per token of the prompt that is not in the prefix cache, when the call is served at once."""
    answer_token: float = 15e-3
    """Between two tokens of an answer, as busy as the engine has been of late."""
    batching_slowdown: float = 0.2
    """What another answer beside adds to the time between two tokens, as a part of `answer_token`."""
    answer_length: float = 1.0
    """Tokens of an answer for each token expected."""
    calls: int = 0

    def seconds(self, work: CallEstimate) -> float:
        """How long a call will probably take, if it does not have to wait."""
        return self._prompt(work) + self._answer(work)

    def load(self, work: CallEstimate) -> float:
        """Seconds by which a call holds up the others that run beside it."""
        return self._prompt(work) + self.batching_slowdown * self._answer(work)

    def together(self, works: Sequence[CallEstimate]) -> float:
        """How long calls will probably take side by side, `WIDEST` at once."""
        alone = [self.seconds(work) for work in works]
        if not alone:
            return 0.0
        longest = max(range(len(alone)), key=alone.__getitem__)
        beside = sum(self.load(work) for number, work in enumerate(works) if number != longest)
        return max(alone[longest], sum(alone) / WIDEST) + beside

    def learn(self, work: CallEstimate, answered: int, ttft: float, e2e: float, cached: int) -> None:
        """Take in a finished call.

        :param work: what was expected.
        :param answered: tokens of its answer.
        :param cached: tokens of its prompt that were in the prefix cache.
        """
        first = not self.calls
        self.calls += 1
        if answered > 1:
            pause = (e2e - ttft) / (answered - 1)
            self.answer_token += (1.0 if first else _WEIGHT) * (pause - self.answer_token)
        if (computed := work.prompt_tokens - cached) >= _LEAST_PROMPT:
            token = (
                max(_LEAST_SECONDS, ttft - self.answer_token) / computed
            )  # the first token of the answer takes a step, too
            known = self.prompt_token
            weight = 1.0 if first else _WEIGHT if token < known else _WEIGHT_OF_WAITS
            self.prompt_token += weight * (token - known if first else min(token, _FAR * known) - known)
        if work.answer_tokens:
            self.answer_length += _WEIGHT * (min(answered / work.answer_tokens, _FAR) - self.answer_length)

    def learn_batching_slowdown(self, answers: int, pause: float) -> None:
        """Take in the time between two tokens of each of some answers that were written side by side."""
        if answers > 1 and self.answer_token > 0:
            self.batching_slowdown = min(1.0, max(0.0, (pause / self.answer_token - 1) / (answers - 1)))

    def _prompt(self, work: CallEstimate) -> float:
        return work.prompt_tokens * self.prompt_token

    def _answer(self, work: CallEstimate) -> float:
        return work.answer_tokens * self.answer_length * self.answer_token
