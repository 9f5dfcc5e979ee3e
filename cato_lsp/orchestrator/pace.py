"""How fast this machine answers, learned from the calls that it has answered."""

from __future__ import annotations

from dataclasses import dataclass

from cato_lsp.tasks.calls import Work

_WEIGHT = 0.2
"""Of a new measurement against what is known."""


@dataclass(slots=True)
class Pace:
    """Seconds per token, before anything is known those of a small model on a few CPU cores."""

    prompt_token: float = 0.5e-3
    """Per token of the prompt that is not in the prefix cache; includes the wait for other calls."""
    answer_token: float = 15e-3
    answer_length: float = 1.0
    """Tokens of an answer for each token expected."""
    calls: int = 0

    def seconds(self, work: Work) -> float:
        """How long a call will probably take."""
        return work.prompt_tokens * self.prompt_token + work.answer_tokens * self.answer_length * self.answer_token

    def learn(self, work: Work, answered: int, ttft: float, e2e: float, cached: int) -> None:
        """Take in a finished call.

        :param work: what was expected.
        :param answered: tokens of its answer.
        :param cached: tokens of its prompt that were in the prefix cache.
        """
        weight = _WEIGHT if self.calls else 1.0
        self.calls += 1
        if work.prompt_tokens - cached >= 16:
            self.prompt_token += weight * (ttft / (work.prompt_tokens - cached) - self.prompt_token)
        if answered > 1:
            self.answer_token += weight * ((e2e - ttft) / (answered - 1) - self.answer_token)
        if work.answer_tokens:
            self.answer_length += _WEIGHT * (min(answered / work.answer_tokens, 4.0) - self.answer_length)
