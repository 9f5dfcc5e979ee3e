"""The live tasks of each editor. A newer task supersedes the one with the same slot."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import anyio

from cato_lsp.orchestrator.answer_stream import AnswerStream
from cato_lsp.orchestrator.record import Outcome
from cato_lsp.scheduling.slo import TaskKind


class Slot(NamedTuple):
    """At most one task is live per slot: the completion of a document, or one kind of task at one place."""

    client: str
    uri: str
    kind: TaskKind = TaskKind.COMPLETION
    place: int = 0
    """Offset in the document, for tasks other than completion."""


@dataclass(slots=True, eq=False)
class LiveTask:
    """A task that can be ended from outside."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended_as: Outcome | None = None
    """Set when the task was ended from outside."""
    answer: AnswerStream | None = None
    """The answer that a completion reads. A newer task may take it over."""

    def end(self, outcome: Outcome) -> None:
        """Cancel the task. Its request gets an empty result."""
        if self.ended_as is None:
            self.ended_as = outcome
            self.scope.cancel()


class LiveTasks:
    """All live tasks by slot."""

    def __init__(self) -> None:
        self._tasks: dict[Slot, LiveTask] = {}

    @contextmanager
    def take(self, slot: Slot) -> Generator[LiveTask]:
        """Run the body as the one live task of ``slot``; the task that had it is superseded.

        The body is cancelled when the task is ended, and the context then leaves quietly.
        """
        task = LiveTask()
        if (previous := self._tasks.get(slot)) is not None:
            previous.end(Outcome.SUPERSEDED)
        self._tasks[slot] = task
        try:
            with task.scope:
                yield task
        finally:
            if self._tasks.get(slot) is task:
                del self._tasks[slot]

    def end_document(self, client: str, uri: str) -> None:
        """End the tasks of a document that was closed."""
        for slot, task in list(self._tasks.items()):
            if slot.client == client and slot.uri == uri:
                task.end(Outcome.CANCELLED)

    def at(self, slot: Slot) -> LiveTask | None:
        """The task that has ``slot``."""
        return self._tasks.get(slot)

    def end_client(self, client: str) -> None:
        """End all tasks of a client."""
        for slot, task in list(self._tasks.items()):
            if slot.client == client:
                task.end(Outcome.CANCELLED)

    def __len__(self) -> int:
        return len(self._tasks)
