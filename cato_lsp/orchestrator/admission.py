"""Decides whether a task is admitted: now, later, or not, with a reason for the user."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cato_lsp.scheduling.slo import TaskKind

PATIENCE = 10.0
"""A task is refused if it would take more than this many times its deadline."""
MOST_OF_ONE = 16
"""Most tasks of one client at the same time."""
MOST = 64
"""Most tasks of all clients at the same time."""

_NAMES = {
    TaskKind.GENERATION: ("generation", "generations"),
    TaskKind.SUMMARIZATION: ("summary", "summaries"),
    TaskKind.TRANSLATION: ("translation", "translations"),
}


class Verdict(StrEnum):
    """The decision on a task."""

    YES = "yes"
    LATER = "later"
    """Admitted, but it will take longer than the deadline of its kind."""
    NO = "no"


class RunningTask(Protocol):
    """An admitted task that has not ended."""

    @property
    def kind(self) -> TaskKind: ...

    @property
    def client(self) -> str: ...

    @property
    def load(self) -> float:
        """Predicted seconds by which the calls that are left delay other tasks."""
        ...


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision on one task, with its reason."""

    verdict: Verdict
    expected: float
    """Predicted seconds until the task is done."""
    reason: str = ""
    """For the user; empty for `Verdict.YES`."""


def admit(client: str, own: float, load: float, allowed: float, running: Collection[RunningTask]) -> Admission:
    """Decide on a task.

    Clients share the engine fairly: the tasks of another client delay this one by at most the load of this client's
    own tasks, including this one.

    :param own: predicted seconds of the task with nothing else running.
    :param load: predicted seconds by which it delays other tasks.
    :param allowed: seconds to the task's deadline.
    :param running: the admitted tasks that have not ended.
    """
    loads: defaultdict[str, float] = defaultdict(float)
    for task in running:
        loads[task.client] += task.load
    mine = loads.pop(client, 0.0)
    expected = own + mine + sum(min(other, mine + load) for other in loads.values())
    if expected <= allowed:
        return Admission(Verdict.YES, expected)
    told = _told([task.kind for task in running], expected)
    if expected <= PATIENCE * allowed:
        return Admission(Verdict.LATER, expected, told)
    advice = "Try again when they are done." if running else "Select a smaller part, or raise the setting `sla`."
    return Admission(Verdict.NO, expected, f"{told} {advice}")


def overfull(client: str, running: Collection[RunningTask]) -> str:
    """Why no further task of a client is admitted; empty if one can be."""
    own = [task.kind for task in running if task.client == client]
    if len(own) >= MOST_OF_ONE:
        return f"{_listed(own)} running for this window already. Try again when one of them is done."
    if len(running) >= MOST:
        return f"{_listed([task.kind for task in running])} running already. Try again when one of them is done."
    return ""


def _told(kinds: Sequence[TaskKind], expected: float) -> str:
    if not kinds:
        return f"This takes long on this machine: expected {_seconds(expected)}."
    return f"{_listed(kinds)} ahead; expected {_seconds(expected)}."


def _listed(kinds: Sequence[TaskKind]) -> str:
    """``1 summary and 2 translations are``."""
    counts = Counter(kinds)
    parts = [f"{counts[kind]} {_NAMES[kind][counts[kind] > 1]}" for kind in _NAMES if counts[kind]]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return f"{listed} {'is' if len(kinds) == 1 else 'are'}"


def _seconds(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 120 else f"{round(seconds / 60)} min"
