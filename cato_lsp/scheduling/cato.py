"""Our policy: each step computes the tokens that meet the most deadlines, by weight. `CatoOptions` has its numbers.

plan(step):
    TTFT     = the usual time to first token that clients ask for, learned call by call
    base     = time of the step with nothing but its decodes
    shortest = use * base                                        # bounds what fixed costs waste
    longest  = TTFT, or urgent_step * TTFT while calls are late  # calls that arrive meanwhile wait for its end
    late     = work of the late calls / weight of their kinds
    for each E2E answer with late * weight > overload * TTFT:    # overload: E2E answers set the pace
        longest = time per token of the tightest one that can be on time
    longest = max(shortest, longest)
    slack   = the shortest time limit of an E2E answer + task_penalty * work of the late calls

    # 1. Keep the largest set of prefills that can all be on time. The last one of a task waits if it has more slack.
    jobs = prefills whose first token is due, by their deadlines
         + E2E prefills, due when an answer of `long_answer` length must start
    kept, lost = Moore-Hodgson(jobs, in steps of `longest`), which gives up the heaviest first:
                 work / weight of the kind * number of jobs of the client

    # 2. Size the step: as long as the kept first tokens need.
    length = base + work of the kept first tokens, within [shortest, longest]
    if none is kept:
        length = as the kept E2E prompts and the rest of their tasks need, within [shortest / 2, shortest]
        length = TTFT if no call came for `quiet` seconds and no one types

    # 3. Fill it, and backfill with late and E2E work. The oldest call first, which bounds starvation (4).
    grant all decodes, then `reserve` tokens to the oldest call if it has waited longer than `patience`
    grant the kept by due time, and end the step in time for each of them
    grant E2E prefills that were given up, then late ones, each by least work, then the background
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import heapify, heappop
from itertools import chain
from typing import NamedTuple

from cato_lsp.scheduling.batch import BatchBuilder
from cato_lsp.scheduling.feasible import Job, keep_most
from cato_lsp.scheduling.lengths import AnswerLengths
from cato_lsp.scheduling.options import CatoOptions
from cato_lsp.scheduling.policy import StepPlan
from cato_lsp.scheduling.queues import Queues, sort_requests
from cato_lsp.scheduling.slo import ServiceClass, TaskKind
from cato_lsp.scheduling.view import RequestView, StepView

Prefill = Job[RequestView]


class _Limits(NamedTuple):
    """Bounds on the length of a step, in seconds."""

    base: float
    shortest: float
    longest: float
    slack: float
    """An E2E prompt with more slack than this, the last one of its task, gives way to the E2E answers."""


class CatoPolicy:
    """Plans the steps of one engine. It keeps no reference to a request."""

    def __init__(self, options: CatoOptions | None = None, name: str = "cato") -> None:
        self.name = name
        self.options = options or CatoOptions()
        self.lengths = AnswerLengths()
        self._usual_ttft = {TaskKind.COMPLETION: 0.2}
        self._last_urgent = -math.inf
        """When the last call arrived whose first token is due."""
        self._newest = -1
        """The last request that was seen, in the order of arrival."""

    @property
    def ttft(self) -> float:
        """The usual time to first token that clients ask for, in seconds, of the kind that asks for the shortest."""
        return min(self._usual_ttft.values())

    def plan(self, view: StepView) -> StepPlan:
        """See `Policy.plan`."""
        self._meet(view.waiting)
        queues = sort_requests(chain(view.running, view.waiting), view.now)
        limits = self._limits(view, queues)
        overdue = self._overdue(view, queues)
        first = 0.0 if overdue is None else view.costs.per_token * min(overdue.todo, self.options.reserve)
        jobs = self._jobs(view, queues, limits)
        kept, lost = keep_most(jobs, overhead=limits.base, step=limits.longest, before=first)
        batch = BatchBuilder(view, limits.base, self._length(view, limits, first, kept), self.options.reserve)
        batch.add_decodes(queues.decoding)
        if overdue is not None:
            batch.add_overdue(overdue)
        for job in kept:
            add = batch.add_urgent if job.item.slo.service is ServiceClass.TTFT else batch.add
            add(job.item)
        for request in _backfill(queues, lost):
            if not batch.add(request):
                break
        return batch.finish(queues)

    def ended(self, request: RequestView, *, finished: bool) -> None:
        """See `Policy.ended`."""
        if finished and request.generated:
            self.lengths.add(request.slo.kind, request.generated)

    def _meet(self, waiting: Iterable[RequestView]) -> None:
        """Learn the usual TTFT from new requests. One call counts little, however short or long its deadline."""
        new = [request for request in waiting if request.order > self._newest]
        self._newest = max([self._newest, *(request.order for request in new)])
        for slo in (request.slo for request in new if request.slo.service is ServiceClass.TTFT):
            self._last_urgent = max(self._last_urgent, slo.arrival)
            asked = max(0.0, slo.deadline - slo.arrival)
            usual = self._usual_ttft.get(slo.kind, self.ttft)
            self._usual_ttft[slo.kind] = usual + (min(asked, 2 * usual) - usual) / self.options.usual

    def _limits(self, view: StepView, queues: Queues) -> _Limits:
        options, costs, decodes = self.options, view.costs, queues.decoding
        answers = [request for request in decodes if request.slo.service is ServiceClass.E2E]
        base = costs.seconds(sum([r.todo for r in decodes]), len(decodes), sum([r.computed for r in decodes]))
        shortest = options.use * base
        longest = self.ttft * (options.urgent_step if queues.late else 1.0)
        late = costs.per_token * sum([r.todo / r.slo.weight for r in queues.late]) / (options.overload * self.ttft)
        paces = ((r.slo.deadline - view.now) / self._tokens_left(r) for r in answers if late * r.slo.weight > 1)
        longest = min([longest, *(pace for pace in paces if pace >= shortest)])
        slack = min([r.slo.deadline - r.slo.arrival for r in answers], default=math.inf)
        slack += options.task_penalty * sum([_prefill(view, r) for r in queues.late])
        return _Limits(base, shortest, max(shortest, longest), slack)

    def _tokens_left(self, request: RequestView) -> int:
        return self.lengths.remaining(request.slo.kind, request.generated, self.options.long_answer)

    def _jobs(self, view: StepView, queues: Queues, limits: _Limits) -> list[Prefill]:
        now, costs = view.now, view.costs
        jobs: list[Prefill] = []
        calls = Counter([request.slo.client for request in chain(queues.urgent, queues.e2e)])
        for request in queues.urgent:
            slo, work = request.slo, _prefill(view, request)
            jobs.append(Job(request, work, slo.deadline - now - costs.error, work * calls[slo.client] / slo.weight))
        for request in queues.e2e:
            slo, work, tokens = request.slo, _prefill(view, request), self._tokens_left(request)
            due = slo.deadline - now - costs.recent_step * tokens
            load = work + tokens * (costs.per_token + costs.per_sequence + costs.per_context * request.prompt)
            if due > limits.slack and 0 < slo.task_work < 2 * load:
                continue  # what is left of its task is hardly more than itself: no other call waits for it
            due += self.options.task_penalty * slo.task_work if due > limits.longest else 0.0
            jobs.append(Job(request, work, due, load * calls[slo.client] / slo.weight))
        return jobs

    def _length(self, view: StepView, limits: _Limits, first: float, kept: list[Prefill]) -> float:
        need = sum([job.work for job in kept if job.item.slo.service is ServiceClass.TTFT])
        if need:
            return min(limits.longest, max(limits.shortest, limits.base + first + need))
        if view.now - self._last_urgent > self.options.quiet and view.now > view.typing_until:
            return max(limits.shortest, self.ttft)
        needed = limits.base / max(1e-9, 1 - _part_of_prompts(kept, first, view.now))
        return min(limits.shortest, max(limits.shortest / 2, needed))

    def _overdue(self, view: StepView, queues: Queues) -> RequestView | None:
        """The oldest request that was passed over for too long: this is what bounds starvation.

        Say a request arrives at `a`, `T` is the longest step, `D` the longest deadline of a first token, and `A` the
        most tokens that any answer may have. Then its first token is out by

            a + patience + sum over itself and all older requests i of T * (ceil(prompt_i / reserve) + 3 * A) + D

        From `a + patience` on it can only wait for older ones, one after the other. The oldest gets `reserve` tokens of
        each step before any other; when it has no slot or too few blocks, no other request is admitted (`add_overdue`),
        so those that run finish (at most A steps) or lose their protection (at most D) and make room. An answer that
        was interrupted is computed again with its prompt (at most A tokens), and needs at most A steps more, also as
        background work. This requires that a step has `reserve` tokens more than there are slots.
        """
        before = view.now - self.options.patience
        waiting = chain(queues.urgent, queues.late, queues.e2e, queues.background)
        return min((r for r in waiting if r.slo.arrival < before), key=lambda r: r.order, default=None)


def _part_of_prompts(kept: list[Prefill], first: float, now: float) -> float:
    """The part of the time that E2E prompts need so that they, and what is left of their tasks, are on time.

    Each call counts all that is left of its task, since the rest waits for it; and all of the time if it does not tell.
    """
    total, part = first, 0.0
    for time, work in sorted((job.item.slo.deadline - now, job.item.slo.task_work or math.inf) for job in kept):
        total += work
        part = max(part, 1.0 if total == math.inf else total / time if time > 0 else 0.0)
    return part


def _prefill(view: StepView, request: RequestView) -> float:
    """Seconds of machine time that the rest of a prompt takes."""
    costs, todo = view.costs, request.todo
    return costs.per_sequence + costs.per_token * todo + costs.per_context * (request.computed + todo)


def _backfill(queues: Queues, lost: list[Prefill]) -> Iterator[RequestView]:
    """What gets the time that is left: first E2E prefills, then late ones, each by least work; then the background."""
    requests = chain(queues.late, (job.item for job in lost))
    heap = [(request.slo.service is ServiceClass.TTFT, request.todo, request.order, request) for request in requests]
    heapify(heap)  # only as much of it is sorted as the step has room for
    while heap:
        yield heappop(heap)[-1]
    yield from queues.background
