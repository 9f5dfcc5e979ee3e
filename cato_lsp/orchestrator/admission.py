"""Whether a task is taken on: yes, yes but later, or no, with a reason that a person understands."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cato_lsp.scheduling.slo import TaskKind

PATIENCE = 10.0
"""A task is refused when it would take this many times what is promised for its kind."""
MOST_OF_ONE = 16
"""Tasks of one client that run at once, at most."""
MOST = 64
"""Tasks of all clients."""

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
    """The verdict for one task."""

    verdict: Verdict
    expected: float
    """Predicted seconds until it is done."""
    reason: str = ""
    """For a person; empty with `Verdict.YES`."""


def admit(client: str, own: float, load: float, promised: float, ahead: Collection[RunningTask]) -> Admission:
    """Decide on a task.

    Clients share the engine fairly: another one's tasks hold this one up for no longer than the client's own do
    (its tasks that run, and this one), however many they are.

    :param own: predicted seconds of the task, with nothing else running.
    :param load: predicted seconds by which it will hold up others.
    :param promised: seconds that are promised for the whole of it.
    :param ahead: the tasks that run now.
    """
    loads: defaultdict[str, float] = defaultdict(float)
    for task in ahead:
        loads[task.client] += task.load
    mine = loads.pop(client, 0.0)
    expected = own + mine + sum(min(other, mine + load) for other in loads.values())
    if expected <= promised:
        return Admission(Verdict.YES, expected)
    told = _told([task.kind for task in ahead], expected)
    if expected <= PATIENCE * promised:
        return Admission(Verdict.LATER, expected, told)
    advice = "Try again when they are done." if ahead else "Select a smaller part, or raise the setting `sla`."
    return Admission(Verdict.NO, expected, f"{told} {advice}")


def overfull(client: str, ahead: Collection[RunningTask]) -> str:
    """Why no further task of a client is taken on, whatever it is; empty if it can be."""
    own = [task.kind for task in ahead if task.client == client]
    if len(own) >= MOST_OF_ONE:
        return f"{_listed(own)} running for this window already. Try again when one of them is done."
    if len(ahead) >= MOST:
        return f"{_listed([task.kind for task in ahead])} running already. Try again when one of them is done."
    return ""


def _told(kinds: Sequence[TaskKind], expected: float) -> str:
    if not kinds:
        return f"This is a long piece of work for this machine: expected {_seconds(expected)}."
    return f"{_listed(kinds)} ahead; expected {_seconds(expected)}."


def _listed(kinds: Sequence[TaskKind]) -> str:
    """``1 summary and 2 translations are``."""
    counts = Counter(kinds)
    parts = [f"{counts[kind]} {_NAMES[kind][counts[kind] > 1]}" for kind in _NAMES if counts[kind]]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return f"{listed} {'is' if len(kinds) == 1 else 'are'}"


def _seconds(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 120 else f"{round(seconds / 60)} min"
