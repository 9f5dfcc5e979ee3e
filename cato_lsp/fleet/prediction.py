"""Which deadlines a replica will meet, predicted from its book.

The replica's own scheduler keeps the largest set of prompts that can all be on time (`cato_lsp.scheduling.cato`). The
prediction asks the same question of the book, with the same rule and the replica's learned costs.
"""

from __future__ import annotations

from collections.abc import Iterable

from cato_lsp.fleet.books import NewCall, ReplicaBook
from cato_lsp.scheduling.feasible import Job, keep_most
from cato_lsp.scheduling.options import CatoOptions
from cato_lsp.scheduling.slo import ServiceClass

OPTIONS = CatoOptions()
"""The scheduler's own numbers."""
USABLE = 1 - 1 / (0.75 * OPTIONS.use)
"""The part of a busy replica's time that prompts get. Its steps are `use` times as long as their decodes, or down to
half of that while no first token is due; the mean is taken."""


def gain(book: ReplicaBook, call: NewCall, now: float) -> float:
    """Predicted change of the deadlines met (sum of weights) if the replica is sent ``call``.

    Its weight if the deadline is met and no other is lost for it; 0 or less if not.
    """
    if not book.fits(call):
        return 0.0
    mine = _job(book, call, book.uncached(call), now)
    if mine is None:
        return 0.0
    open_calls = [each for each in book.calls.values() if each.unread]
    jobs = [job for each in open_calls if (job := _job(book, each.call, each.unread, now)) is not None]
    decoding = [each for each in book.calls.values() if not each.unread]
    base = book.costs.seconds(len(decoding), len(decoding), sum(each.length for each in decoding))
    step = max(OPTIONS.use * base, _tightest([*(each.call for each in open_calls), call]))
    before = wait(book, now)
    return _met([*jobs, mine], base, step, before) - _met(jobs, base, step, before)


def meets_alone(book: ReplicaBook, call: NewCall, now: float) -> bool:
    """Whether the replica would meet the call's deadline if it had nothing else to do."""
    job = _job(book, call, book.uncached(call), now)
    return job is not None and job.work + book.costs.fixed <= job.due


def wait(book: ReplicaBook, now: float) -> float:
    """Expected seconds until the replica plans its next step.

    Half a step, as a call comes at any moment of one. A replica that has been silent for longer than a step has been
    so in the same way for ``age`` seconds, and is expected to stay so for as long again.
    """
    age, step = book.age(now), book.costs.recent_step
    return age if age > 2 * step else step / 2 if book.calls else 0.0


def _job(book: ReplicaBook, call: NewCall, unread: int, now: float) -> Job[NewCall] | None:
    slo, costs = call.slo, book.costs
    if slo.service is ServiceClass.BACKGROUND:
        return None
    due = slo.deadline - now
    work = costs.per_sequence + costs.per_token * unread + costs.per_context * call.prompt
    if slo.service is ServiceClass.TTFT:
        return Job(call, work, due - costs.error, work / slo.weight)
    tokens = book.lengths.remaining(slo.kind, 0, OPTIONS.long_answer)
    decoding = tokens * (costs.per_token + costs.per_sequence + costs.per_context * call.prompt)
    return Job(call, work, due - costs.recent_step * tokens, (work + decoding) / slo.weight)


def _tightest(calls: Iterable[NewCall]) -> float:
    times = (c.slo.deadline - c.slo.arrival for c in calls if c.slo.service is ServiceClass.TTFT)
    return min(times, default=0.2)


def _met(jobs: list[Job[NewCall]], base: float, step: float, before: float) -> float:
    kept, _ = keep_most(jobs, overhead=base, step=step, before=before)
    return sum(job.item.slo.weight for job in kept)
