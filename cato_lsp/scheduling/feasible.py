"""The greatest number of promises that can all be kept."""

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
    """What it costs to keep it: `work`, or more for someone who has had more than a fair share."""


def keep_most(
    jobs: Iterable[Job[T]], *, overhead: float, step: float, before: float = 0.0
) -> tuple[list[Job[T]], list[Job[T]], float]:
    """Split jobs into those to keep, in order of due time, and those to give up; and the work kept.

    Moore and Hodgson's rule (1968): take jobs by due time; whenever one would be late, give up the heaviest
    taken so far. With weight = work this keeps the greatest number that one machine can. The machine works in
    steps of at most `step` seconds, each of which spends `overhead` seconds on other things; `before` is work
    that goes first.
    """
    heap: list[tuple[float, int, Job[T]]] = []
    given_up: set[int] = set()
    total = before
    room = step - overhead
    stretch = step / room if room > 0.05 * step else 20.0
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
    return kept, lost, total
