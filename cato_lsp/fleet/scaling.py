"""How many replicas a fleet needs: more when deadlines are missed, fewer when a smaller fleet would meet them too."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

from cato_lsp.fleet.books import NewCall, ReplicaBook
from cato_lsp.fleet.prediction import USABLE, gain, meets_alone
from cato_lsp.scheduling.slo import ServiceClass

MISSES = 0.02
"""Part of the deadlines that may be missed before a replica is added."""
WINDOW = 10.0
"""Seconds over which missed deadlines are averaged."""


class MissedShare:
    """The missed part of the deadlines, averaged over the last `WINDOW` seconds, and the work of all calls."""

    def __init__(self) -> None:
        self._missed = self._all = self._work = 0.0
        self._at = -math.inf

    def add(self, now: float, weight: float, work: float, *, met: bool) -> None:
        """A deadline is predicted to be met or missed. ``work``: seconds of a replica's time for the call."""
        self._fade(now)
        self._all += weight
        self._work += work
        if not met:
            self._missed += weight

    def share(self, now: float) -> float:
        """The missed part. One missed deadline among few is no sign yet: `1 / MISSES` met ones are assumed."""
        self._fade(now)
        return self._missed / (self._all + 1 / MISSES)

    def work(self, now: float) -> float:
        """Seconds of work per second."""
        self._fade(now)
        return self._work / WINDOW

    def _fade(self, now: float) -> None:
        kept = math.exp((self._at - now) / WINDOW) if self._all else 0.0
        self._missed, self._all, self._work, self._at = self._missed * kept, self._all * kept, self._work * kept, now


@dataclass(slots=True)
class _Queue:
    """The work of one imagined replica, as (due, seconds), by due time."""

    jobs: list[tuple[float, float]]
    work: float = 0.0

    def pass_time(self, seconds: float) -> None:
        self.work = max(0.0, self.work - seconds)
        done = 0
        while done < len(self.jobs) and seconds > 0:
            due, work = self.jobs[done]
            if work > seconds:
                self.jobs[done] = due, work - seconds
                break
            seconds -= work
            done += 1
        del self.jobs[:done]

    def takes(self, due: float, work: float, now: float, rate: float) -> bool:
        """Add a job if all jobs stay on time."""
        total, later = work, False
        for each, seconds in self.jobs:
            if each >= due and not later:
                later = True
                if now + total / rate > due:
                    return False
            total += seconds
            if later and now + total / rate > each:
                return False
        if not later and now + total / rate > due:
            return False
        self.add(due, work)
        return True

    def add(self, due: float, work: float) -> None:
        insort(self.jobs, (due, work))
        self.work += work


class ImaginedFleet:
    """The calls of the real fleet on another number of replicas, which serve in order of due time.

    A call that none of them serves in time is missed and takes no time. A call that is too long even for an idle one,
    at the rate of a busy one, does not count.
    """

    def __init__(self, replicas: int, now: float) -> None:
        self.since = now
        self.missed = MissedShare()
        self._queues = [_Queue([]) for _ in range(replicas)]
        self._at = now

    def routed(self, call: NewCall, book: ReplicaBook, now: float) -> None:
        """A call comes that the real fleet serves on the replica of ``book``."""
        rate, slo = USABLE, call.slo
        for queue in self._queues:
            queue.pass_time(rate * (now - self._at))
        self._at = now
        prompt, work = book.prefill(call), book.work(call)
        first = slo.service is ServiceClass.TTFT
        needed = prompt if first else work
        if now + needed / rate > slo.deadline:
            return
        for queue in sorted(self._queues, key=lambda queue: queue.work):
            if queue.takes(slo.deadline, needed, now, rate):
                if first:
                    queue.add(math.inf, work - prompt)
                self.missed.add(now, slo.weight, work, met=True)
                return
        self.missed.add(now, slo.weight, work, met=False)


class Scaler:
    """Decides how many replicas are wanted. Tell it of each call, before the call is entered into a book.

    :param least, most: bounds of the number of replicas.
    :param spare: replicas beyond those that meet the deadlines, which are up when load grows or a replica dies.
    :param load_seconds: how long a new replica takes to start. A replica is given up only if a smaller fleet would
        have met the deadlines for twice that time: it could not be had back sooner.
    """

    def __init__(self, least: int, most: int, *, spare: int = 1, load_seconds: float = 60.0) -> None:
        self._least, self._most, self._spare = least, most, spare
        self._hold = 0.0
        self.loaded_in(load_seconds)
        self._missed = MissedShare()
        self._up = 0
        self._without_spare = self._smaller = ImaginedFleet(0, 0.0)

    def loaded_in(self, seconds: float) -> None:
        """The replica that was started last took so long."""
        self._hold = max(3 * WINDOW, 2 * seconds)

    def routed(self, call: NewCall, chosen: ReplicaBook, books: Sequence[ReplicaBook], now: float) -> None:
        """A call goes to ``chosen``, one of ``books``. Calls that no number of replicas would help do not count."""
        self._count(books, now)
        met = gain(chosen, call, now) > 0
        if not met and not any(meets_alone(book, call, now) for book in books):
            return
        self._missed.add(now, call.slo.weight, chosen.work(call), met=met)
        self._smaller.routed(call, chosen, now)
        if self._spare:
            self._without_spare.routed(call, chosen, now)

    def wanted(self, books: Sequence[ReplicaBook], now: float) -> int:
        """Return the number of replicas that there should be, counted from those that are up."""
        self._count(books, now)
        wanted = len(books)
        missed = [self._missed] + [self._without_spare.missed] * bool(self._spare)
        worst = max(missed, key=lambda each: each.share(now))
        if worst.share(now) > MISSES:
            wanted = max(wanted + 1, math.ceil(worst.work(now) / USABLE) + self._spare)
        elif now - self._smaller.since >= self._hold:
            wanted -= 1
        return min(self._most, max(self._least, wanted))

    def _count(self, books: Sequence[ReplicaBook], now: float) -> None:
        """Imagine the fleets anew when replicas have come or gone, and wait anew when a smaller one would miss."""
        if len(books) != self._up:
            self._up = len(books)
            self._missed = MissedShare()
            self._without_spare = ImaginedFleet(self._up - self._spare, now)
            self._smaller = ImaginedFleet(self._up - self._spare - 1, now)
        if self._smaller.missed.share(now) > MISSES:
            self._smaller.since = now
