"""How tasks call the model. The orchestrator implements `Calls` with deadlines, streams and counters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, TypeVarTuple

from cato_lsp.tasks.prompts import Prompt

_Args = TypeVarTuple("_Args")
_Result = TypeVar("_Result")


class CannotDoError(Exception):
    """The model cannot do the task. The message tells the user why."""


@dataclass(frozen=True, slots=True)
class CallEstimate:
    """The expected cost of a call, in tokens."""

    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A prompt, and how long its answer may be."""

    prompt: Prompt
    max_tokens: int
    expected_tokens: int
    """Expected length of the answer."""
    temperature: float = 0.0

    @property
    def estimate(self) -> CallEstimate:
        """The expected cost."""
        return CallEstimate(len(self.prompt.ids), min(self.expected_tokens, self.max_tokens))


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call."""

    text: str
    complete: bool
    """Whether the model ended the answer itself; false if it reached ``max_tokens`` or was stopped."""


OnText = Callable[[str], bool]
"""Is given the answer so far; returns true to end the call."""


SECOND_TRY = 0.4
"""Temperature of calls that are made again, since the likeliest answer did not do."""
ALTERNATIVES = 3
"""Answers of a second try, which the engine computes at the same time."""


def alternatives(call: ModelCall) -> list[ModelCall]:
    """The calls of a second try."""
    return [replace(call, temperature=SECOND_TRY)] * ALTERNATIVES


class Calls(Protocol):
    """The calls of one task, which share its deadline."""

    async def call(
        self, call: ModelCall, *, then: Sequence[CallEstimate] = (), on_text: OnText | None = None
    ) -> Answer:
        """Call the model.

        :param then: the calls that follow in this task; the scheduler is told of them.
        :param on_text: is given the answer so far, and ends the call by returning true.
        :raises cato_lsp.engine.api.EngineError: if the engine cannot answer.
        """
        ...

    async def map(
        self,
        calls: Sequence[ModelCall],
        *,
        then: Sequence[CallEstimate] = (),
        on_text: Callable[[int, str], bool] | None = None,
    ) -> list[Answer]:
        """Make several calls at the same time; return the answers in the order of the calls."""
        ...

    def has_time_for(self, extra: CallEstimate) -> bool:
        """Whether the task would probably still meet its deadline with one more call."""
        ...

    async def compute(self, function: Callable[[*_Args], _Result], *args: *_Args) -> _Result:
        """Run what takes more than a moment, such as parsing and tokenizing. Others go on meanwhile."""
        return function(*args)

    def show(self, text: str) -> None:
        """Show the user the result so far, all of it."""
        ...


def call_for(prompt: Prompt, context_tokens: int, expected_tokens: int, most_tokens: int) -> ModelCall | None:
    """A call whose answer fits the context window; ``None`` if not even half the expected answer fits."""
    left = context_tokens - len(prompt.ids)
    if left < max(16, expected_tokens // 2):
        return None
    return ModelCall(prompt, min(most_tokens, left), expected_tokens)
