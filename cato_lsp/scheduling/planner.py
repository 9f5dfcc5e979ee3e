"""The planning of one step of `CatoPolicy`."""

from __future__ import annotations

import math
from heapq import nsmallest
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from cato_lsp.scheduling.batch import BatchBuilder
from cato_lsp.scheduling.feasible import Job, keep_most
from cato_lsp.scheduling.plan import StepPlan
from cato_lsp.scheduling.queues import sort_requests
from cato_lsp.scheduling.slo import ServiceClass
from cato_lsp.scheduling.view import RequestView, StepView

if TYPE_CHECKING:
    from cato_lsp.scheduling.cato import CatoPolicy

_LATE_CONSIDERED = 32
"""More of the late than this never fit a step."""

_LEAST_USE = 1.3
"""No step with prefill is shorter than this many times what it takes without."""

_AMPLE = 1.5
"""First tokens promised after more than this many times the tightest such promise have ample time."""

_SECOND = 1e6
"""Added to the weight of those who may only have what time the kept leave."""

Kept = list[Job[RequestView]]


class StepPlanner:
    """Plans one step; see `cato_lsp.scheduling.cato` for the idea.

    Times are seconds, and seconds from now where they are due times.
    """

    def __init__(self, policy: CatoPolicy, view: StepView) -> None:
        self.policy = policy
        self.options = policy.options
        self.view = view
        self.queues = sort_requests(chain(view.running, view.waiting), view.now)
        self.decodes = self.queues.decoding + self.queues.yielding
        cost = view.costs
        self.per_token = cost.per_token
        self.base = cost.seconds(
            sum([r.todo for r in self.decodes]), len(self.decodes), sum([r.computed for r in self.decodes])
        )
        self.weights = self._client_weights()
        self.busy = policy.pressure >= self.options.calm
        late_work = self.per_token * sum([r.todo for r in self.queues.late])
        self.overloaded = late_work > self.options.overload * policy.tightest_ttft
        self.urgent_step = self._urgent_step()
        self.reserved = self._reserved_for_e2e()
        self.overdue = self._overdue()
        first = 0 if self.overdue is None else min(self.overdue.todo, self.options.reserve)
        self.before = (self.reserved + first) * self.per_token

    def plan(self) -> tuple[StepPlan, bool]:
        """The plan, and whether prefill has to wait for a later step."""
        queues, options = self.queues, self.options
        kept, late = self._keep()
        second = self._keep_second(kept, late)
        chosen = {job.item.id for job in second}
        late = [r for r in chain(late, queues.late) if r.id not in chosen]
        e2e = self._by_slack([r for r in queues.e2e if r.id not in chosen])
        late = nsmallest(_LATE_CONSIDERED, late, key=lambda r: (r.todo, r.order))
        length = self._length(kept, second, late)
        batch = BatchBuilder(
            self.view,
            base=self.base,
            per_token=self.per_token,
            per_sequence=self.view.costs.per_sequence,
            length=length,
        )
        batch.add_decodes(self.decodes)
        if self.overdue is not None:
            batch.add_overdue(self.overdue, options.reserve)
        if self.reserved:
            batch.share(e2e, self.reserved)
        first = {job.item.id for job in kept}
        for job in sorted([*kept, *second], key=attrgetter("due")):
            if job.item.id in first:
                batch.add_urgent(job.item, options.safety * self.policy.tightest_ttft)
            else:
                batch.add(job.item)
        for request in chain(e2e, late, queues.background):
            if not batch.add(request):
                break
        plan = batch.finish(self.queues)
        self._charge(plan)
        return plan, batch.waits(chain(queues.urgent, queues.e2e, queues.late))

    def _urgent_step(self) -> float:
        """Short enough for the answers whose last token is due: under overload all, else those that end soon."""
        options, tightest_ttft = self.options, self.policy.tightest_ttft
        longest = options.urgent_step * tightest_ttft
        if not options.pace:
            return longest
        lengths, now, feasible = self.policy.lengths, self.view.now, 1.5 * self.base
        until = math.inf if self.overloaded else now + options.pace_horizon
        paces = (
            (r.slo.deadline - now) / lengths.remaining(r.slo.kind, r.generated, 0.8)
            for r in self.queues.decoding
            if r.slo.service is ServiceClass.E2E and r.slo.deadline < until
        )
        pace = min((p for p in paces if p > feasible), default=math.inf)
        floor = options.overload_pace_floor if self.overloaded else options.pace_floor
        return max(floor * tightest_ttft, min(longest, pace))

    def _reserved_for_e2e(self) -> int:
        options = self.options
        if not (options.share and self.overloaded and self.queues.e2e and self.queues.urgent):
            return 0
        return int(options.e2e_share * max(0.0, self.urgent_step - self.base) / self.per_token)

    def _client_weights(self) -> dict[str, float]:
        if not self.options.fairness:
            return {}
        fair = self.options.fair_tokens
        return {c: more / fair for c, more in self.policy.shares.excess().items() if more > fair}

    def _keep(self) -> tuple[Kept, list[RequestView]]:
        """Those whose first token can be on time, by due time; and the others that still hoped for it."""
        if not self.queues.urgent:
            return [], []
        jobs = [self._urgent_job(request) for request in self.queues.urgent]
        if not self.options.feasibility:
            return sorted(jobs, key=lambda job: job.due), []
        before = self.before
        kept, lost, _ = keep_most(jobs, overhead=self.base, step=self.urgent_step, before=before)
        if any(self._has_ample_time(job.item) for job in lost):
            aimed_too_early = {job.item.id for job in lost}
            jobs = [self._urgent_job(j.item, aim=False) if j.item.id in aimed_too_early else j for j in jobs]
            kept, lost, _ = keep_most(jobs, overhead=self.base, step=self.urgent_step, before=before)
        if lost and self.options.whole_prompts and not self.busy:
            whole = self.options.whole_step * self.policy.tightest_ttft
            more, fewer, _ = keep_most(jobs, overhead=self.base, step=whole, before=before)
            if len(more) > len(kept):
                self.urgent_step, kept, lost = whole, more, fewer
        return kept, [job.item for job in lost]

    def _has_ample_time(self, request: RequestView) -> bool:
        return request.slo.deadline - request.slo.arrival > _AMPLE * self.policy.tightest_ttft

    def _urgent_job(self, request: RequestView, *, aim: bool = True) -> Job[RequestView]:
        slo, options, tightest_ttft = request.slo, self.options, self.policy.tightest_ttft
        cost = self.view.costs
        work = cost.per_sequence + cost.per_token * request.todo
        work += cost.per_context * (request.computed + request.todo)
        due = slo.deadline - self.view.now - options.safety * tightest_ttft
        if options.aim and aim and self._has_ample_time(request):
            early = options.generous_aim * due
            due = early if self.base + work <= early else due
        return Job(request, work, due, work * self.weights.get(slo.client, 1.0))

    def _keep_second(self, kept: Kept, dropped: list[RequestView]) -> Kept:
        """Whom the kept leave time for: those a little late, and E2E prompts whose time to start has come.

        They are done by their own due times, between the kept, of whom none is late for it.
        """
        if self.overloaded:
            return []
        jobs: Kept = []
        if self.options.second_chance:
            jobs += [self._late_job(r) for r in chain(dropped, self.queues.late) if not r.generated]
        if self.options.e2e_starts:
            jobs += [self._e2e_job(r) for r in self.queues.e2e]
        jobs = [job for job in jobs if self.base + job.work <= job.due]
        if not jobs:
            return []
        both, _, _ = keep_most([*kept, *jobs], overhead=self.base, step=self.urgent_step, before=self.before)
        first = {job.item.id for job in kept}
        return [job for job in both if job.item.id not in first]

    def _late_job(self, request: RequestView) -> Job[RequestView]:
        slo, work = request.slo, self.per_token * request.todo
        due = slo.arrival + self.options.lateness * (slo.deadline - slo.arrival) - self.view.now
        return Job(request, work, due, _SECOND + work)

    def _e2e_job(self, request: RequestView) -> Job[RequestView]:
        """Due when the prompt must be done for a long answer to be on time; at once, if only for a usual one."""
        slo, lengths, step = request.slo, self.policy.lengths, self.view.costs.recent_step
        work, left = self.per_token * request.todo, slo.deadline - self.view.now
        due = left - step * lengths.remaining(slo.kind, request.generated, self.options.long_answer)
        usual = left - step * lengths.remaining(slo.kind, request.generated)
        soon = self.base + work + 0.1 * self.policy.tightest_ttft
        return Job(request, work, max(due, soon) if usual >= self.base + work else -math.inf, _SECOND + work)

    def _by_slack(self, e2e: list[RequestView]) -> list[RequestView]:
        """Planned prompts: those that can be on time by slack, then the others as they came."""
        if len(e2e) < 2:
            return e2e
        now, step = self.view.now, self.view.costs.recent_step
        rate = self.options.e2e_rate if self.overloaded else 1.0
        lengths, weights = self.policy.lengths, self.weights
        jobs: Kept = []
        for request in e2e:
            slo = request.slo
            decoding = step * lengths.remaining(slo.kind, request.generated)
            work = self.per_token * request.todo
            due = slo.deadline + slo.queue_penalty - now - decoding
            jobs.append(Job(request, work / rate, due, work * weights.get(slo.client, 1.0)))
        hopeful, others, _ = keep_most(jobs, overhead=0.0, step=1.0)
        if weights:
            hopeful.sort(key=lambda job: weights.get(job.item.slo.client, 1.0) >= 2.0)
        others.sort(key=lambda job: job.item.order)
        return [job.item for job in chain(hopeful, others)]

    def _length(self, kept: Kept, second: Kept, late: list[RequestView]) -> float:
        options, policy = self.options, self.policy
        if not options.adaptive_step:
            return math.inf
        tightest_ttft = policy.tightest_ttft
        serve = kept + second if self.busy else kept
        if serve:
            need = self.base + self.before + sum([job.work for job in serve])
            fill = min(options.fill_step * tightest_ttft, self.base / options.fill_overhead)
            return min(self.urgent_step, max(fill, need))
        if any(job.item.slo.service is ServiceClass.TTFT for job in second):
            return options.chance_step * tightest_ttft
        now = self.view.now
        if now - policy.last_urgent > options.quiet and now > self.view.typing_until:
            return options.idle_step * tightest_ttft
        backlog = self.per_token * sum([r.todo for r in chain(self.queues.e2e, late, self.queues.background)])
        least = max(options.least_step * tightest_ttft, min(_LEAST_USE * self.base, self.urgent_step))
        length = max(least, min(options.calm_step * tightest_ttft, options.backlog_share * backlog))
        return min(length, self.base / options.overhead)

    def _overdue(self) -> RequestView | None:
        """Whoever was passed over for too long, the oldest of them: this is what bounds starvation.

        Say a request arrives at `a`, `T` is the longest step, `D` the longest promise of a first token, and `A` the
        most tokens that any answer may have. Then its first token is out by

            a + patience + sum over itself and all older requests i of T * (ceil(prompt_i / reserve) + 3 * A) + D

        From `a + patience` on it can only wait for older ones, one after the other. The oldest gets `reserve` tokens of
        each step before anybody else; when it has no slot or too few blocks, nobody else is let in (`add_overdue`), so
        those that run finish (at most A steps) or lose their protection (at most D) and make room. An answer that was
        interrupted is computed again with its prompt (at most A tokens), and needs at most A steps more, also as
        background work. This takes that a step has `reserve` tokens more than there are slots.
        """
        before = self.view.now - self.options.patience
        queues = self.queues
        passed_over = (
            r for r in chain(queues.urgent, queues.late, queues.e2e, queues.background) if r.slo.arrival < before
        )
        return min(passed_over, key=lambda r: r.order, default=None)

    def _charge(self, plan: StepPlan) -> None:
        if not self.options.fairness:
            return
        grants = plan.grants
        of_client: dict[str, int] = {}
        for request in chain(self.view.running, self.view.waiting):
            tokens = grants.get(request.id)
            if tokens:
                client = request.slo.client
                of_client[client] = of_client.get(client, 0) + tokens
        for client, tokens in of_client.items():
            self.policy.shares.charge(client, tokens)
