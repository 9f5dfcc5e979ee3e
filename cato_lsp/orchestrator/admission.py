"""Whether a task is taken on: yes, yes but later, or no, with a reason that a person understands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cato_lsp.scheduling.promise import TaskKind

OVERLAP = 0.5
"""Seconds that a task waits for each second of work ahead of it: calls share the engine's steps."""
PATIENCE = 10.0
"""A task is refused when it would take this many times what is promised for its kind."""
_MOST_AHEAD = 16

_NAMES = {
    TaskKind.GENERATION: ("generation", "generations"),
    TaskKind.SUMMARIZATION: ("summary", "summaries"),
    TaskKind.TRANSLATION: ("translation", "translations"),
}


class Verdict(StrEnum):
    """What admission says."""

    YES = "yes"
    LATER = "later"
    """Taken on, but it will take longer than is promised for its kind."""
    NO = "no"


class Ahead(Protocol):
    """A task that runs already."""

    @property
    def kind(self) -> TaskKind: ...

    @property
    def remaining(self) -> float:
        """Predicted seconds of work that are left."""
        ...


@dataclass(frozen=True, slots=True)
class Admission:
    """The verdict for one task."""

    verdict: Verdict
    expected: float
    """Predicted seconds until it is done."""
    reason: str = ""
    """For a person; empty with `Verdict.YES`."""


def admit(own: float, promised: float, ahead: Collection[Ahead]) -> Admission:
    """Decide on a task.

    :param own: predicted seconds of its own work.
    :param promised: seconds that are promised for the whole of it.
    :param ahead: the tasks that run now.
    """
    expected = own + OVERLAP * sum(task.remaining for task in ahead)
    if expected <= promised and len(ahead) < _MOST_AHEAD:
        return Admission(Verdict.YES, expected)
    told = _told([task.kind for task in ahead], expected)
    if expected <= PATIENCE * promised and len(ahead) < _MOST_AHEAD:
        return Admission(Verdict.LATER, expected, told)
    advice = "Try again when they are done." if ahead else "Select a smaller part, or raise the setting `sla`."
    return Admission(Verdict.NO, expected, f"{told} {advice}")


def _told(kinds: Sequence[TaskKind], expected: float) -> str:
    counts = Counter(kinds)
    parts = [f"{counts[kind]} {_NAMES[kind][counts[kind] > 1]}" for kind in _NAMES if counts[kind]]
    if not parts:
        return f"This is a long piece of work for this machine: expected {_seconds(expected)}."
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    verb = "is" if sum(counts.values()) == 1 else "are"
    return f"{listed} {verb} ahead; expected {_seconds(expected)}."


def _seconds(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 120 else f"{round(seconds / 60)} min"
