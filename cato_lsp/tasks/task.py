"""What generate, summarize, explain and translate have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cato_lsp.scheduling.slo import TaskKind
from cato_lsp.tasks.calls import CallEstimate, Calls
from cato_lsp.tasks.edit import Edit
from cato_lsp.tasks.prompts import Prompter


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What a task wrote."""

    content: Edit | str
    """A change to the document, or a text of its own."""
    unverified: bool = False
    """The user has to check it: part of it does not parse, was not translated, or no grammar can tell."""


class Task(Protocol):
    """A sequence of model calls, prepared for one model."""

    @property
    def note(self) -> str:
        """What the user should know before the task starts; empty if nothing."""
        ...

    def estimate(self) -> Sequence[CallEstimate]:
        """The expected cost of each call."""
        ...

    async def run(self, calls: Calls) -> TaskResult | None:
        """Make the calls; ``None`` if the model wrote nothing of use.

        Raises:
            CannotDoError: the input is too long for the model.
            cato_lsp.engine.api.EngineError: the engine cannot answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A task that a user asked for. Its prompts are built later, when the model is loaded."""

    kind: TaskKind
    uri: str
    place: int
    """Position of the task in its document. Of two tasks with the same kind, document and place the newer one wins."""
    prepare: Callable[[Prompter], Task]
    """Lays out the task for a model. Raises `CannotDoError` if the model cannot do it."""
