"""The largest set of jobs that can all be on time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from operator import attrgetter
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Job(Generic[T]):
    """Some work with a due time."""

    item: T
    work: float
    """Seconds of machine time."""
    due: float
    """Seconds from now."""
    weight: float
    """The heaviest job is given up first. With the work as the weight, the most jobs are kept."""


def keep_most(
    jobs: Iterable[Job[T]], *, overhead: float, step: float, before: float = 0.0
) -> tuple[list[Job[T]], list[Job[T]]]:
    """Split jobs into those to keep, in order of due time, and those to give up.

    Moore and Hodgson's rule (1968): take jobs by due time; whenever one would be late, give up the heaviest
    taken so far. With weight = work this keeps the largest number that one machine can.

    :param overhead: seconds of each step that go to other things.
    :param step: seconds that a step may take.
    :param before: seconds of work that goes first.
    """
    heap: list[tuple[float, int, Job[T]]] = []
    given_up: set[int] = set()
    total = before
    room = step - overhead
    stretch = step / room
    ordered = sorted(jobs, key=attrgetter("due"))
    for position, job in enumerate(ordered):
        heappush(heap, (-job.weight, position, job))
        total += job.work
        while heap and (total + overhead if total <= room else total * stretch) > job.due:
            _, index, heaviest = heappop(heap)
            total -= heaviest.work
            given_up.add(index)
    kept = [job for position, job in enumerate(ordered) if position not in given_up]
    lost = [job for position, job in enumerate(ordered) if position in given_up]
    return kept, lost
