"""How the kinds of task ask the model. The orchestrator is behind it: deadlines, streams, counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cato_lsp.tasks.prompts import Prompt


class CannotDoError(Exception):
    """The model at hand cannot do what was asked; the message says why, to a person."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a call will probably cost, in tokens."""

    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One question to the model."""

    prompt: Prompt
    max_tokens: int
    expected_tokens: int
    """How long the answer will probably be."""
    temperature: float = 0.0

    @property
    def work(self) -> Work:
        """What it will probably cost."""
        return Work(len(self.prompt.ids), min(self.expected_tokens, self.max_tokens))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said."""

    text: str
    complete: bool
    """The model ended it, as opposed to its longest length."""


OnText = Callable[[str], bool]
"""Is given the answer so far; true ends the call."""


class Calls(Protocol):
    """The calls of one task, which share its promise."""

    async def call(self, call: ModelCall, *, then: Sequence[Work] = (), on_text: OnText | None = None) -> Answer:
        """Ask the model.

        :param then: what the task will have to do afterwards: the call's deadline leaves time for it.
        :raises cato_lsp.engine.api.EngineError: if the engine cannot answer.
        """
        ...

    async def map(
        self,
        calls: Sequence[ModelCall],
        *,
        then: Sequence[Work] = (),
        on_text: Callable[[int, str], bool] | None = None,
    ) -> list[Answer]:
        """Ask all of these, as many at once as the promise needs; the answers in the order of the calls."""
        ...

    def has_time_for(self, work: Work) -> bool:
        """Whether the promise would probably be kept with this on top."""
        ...


def call_for(prompt: Prompt, context_tokens: int, expected_tokens: int, most_tokens: int) -> ModelCall | None:
    """A call with room for its answer; ``None`` if the context holds no answer of half the expected length."""
    room = context_tokens - len(prompt.ids)
    if room < max(16, expected_tokens // 2):
        return None
    return ModelCall(prompt, min(most_tokens, room), expected_tokens)


def is_stuck(text: str) -> bool:
    """Whether an answer goes in circles: its last lines, or a piece of its last line, come again and again."""
    tail = text[-400:]
    lines = [line for line in tail.split("\n")[1:-1] if len(line.strip()) > 2]
    if len(lines) >= 4 and len(set(lines[-4:])) == 1:
        return True
    end = tail[-120:]
    return len(end) == 120 and any(end[size:] == end[:-size] for size in range(1, 31))
