"""Our policy: every step computes the tokens that keep the most promises.

One step is planned in four moves (`CatoPolicy.plan`):

1. Requests in the middle of an answer ride along: a token each costs next to nothing beside a prefill.
2. Of the requests whose first token is due, the greatest set that can be on time is kept (Moore and Hodgson); the heaviest
   of a burst that cannot is served after the others, not before them.
3. The step gets a length. With kept requests: as long as they need, within a part of the tightest promise, since whoever
   arrives meanwhile waits for its end; without: short, and longer only as work piles up. No step ends after a promise that it
   could have kept.
4. The step is filled in order: whoever was passed over for too long, the kept, those who are late but can still be answered
   soon, prompts of planned work by slack, the late, the background.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import nsmallest

from cato_lsp.scheduling.cost import StepCostModel
from cato_lsp.scheduling.fairness import ClientShares
from cato_lsp.scheduling.feasible import Job, keep_most
from cato_lsp.scheduling.lengths import AnswerLengths
from cato_lsp.scheduling.plan import Plan
from cato_lsp.scheduling.promise import ServiceClass, TaskKind
from cato_lsp.scheduling.queues import Queues, sort_requests
from cato_lsp.scheduling.view import RequestView, StepCost, StepView


@dataclass(frozen=True, slots=True)
class CatoOptions:
    """The mechanisms, each of which can be switched off, and their few numbers.

    Lengths of steps are parts of the tightest first-token promise seen lately, so that they suit any machine.
    """

    feasibility: bool = True
    """Keep the greatest feasible set; else serve strictly by deadline."""
    adaptive_step: bool = True
    """Size steps by what is urgent; else every step may be full."""
    second_chance: bool = True
    """Answer soon who is only a little late; else the late wait for planned work."""
    fairness: bool = True
    """Weigh clients by the service they have had."""
    aim: bool = True
    """Aim a little before the deadline where that is free."""
    urgent_step: float = 0.3
    """Longest step while somebody urgent is kept."""
    least_step: float = 0.05
    """Shortest step that carries other prefill."""
    calm_step: float = 0.125
    """Longest such step."""
    fill_step: float = 0.075
    """A step for the urgent is filled up with other work to this length."""
    backlog_share: float = 0.1
    """Without urgent work a step takes this part of the backlog."""
    lateness: float = 1.9
    """Who can be answered within this many times its promise gets a second chance."""
    reserve: int = 64
    """Tokens per step for the oldest request that was passed over for longer than `patience`."""
    patience: float = 20.0
    """Seconds."""
    e2e_share: float = 0.0
    e2e_rate: float = 0.3
    calm: float = 0.6
    busy: float = 0.9
    tau: float = 20.0
    late_cap: float = 5.0
    pace_floor: float = 0.15
    pace_when: str = 'over'
    pace_q: float = 0.5
    whole_step: float = 0.95
    decode_margin: float = 0.04
    generation_aim: float = 0.7


class CatoPolicy:
    """See the module's text. One object plans one engine; it keeps no reference to a request that ended."""

    def __init__(self, options: CatoOptions | None = None, name: str = "cato") -> None:
        self.name = name
        self.options = options or CatoOptions()
        self.cost = StepCostModel()
        self.lengths = AnswerLengths()
        self.shares = ClientShares()
        self._step_seconds = 0.02
        self._allowance = 0.2
        self._pressure = 0.0
        self._backlog = False
        self._last = 0.0

    def learn(self, cost: StepCost) -> None:
        """See `Policy.learn`."""
        self.cost.learn(cost)
        self._step_seconds += 0.05 * (cost.seconds - self._step_seconds)

    def ended(self, request: RequestView, *, finished: bool) -> None:
        """See `Policy.ended`."""
        if finished and request.generated:
            self.lengths.add(request.promise.kind, request.generated)
        if request.note:
            self.shares.leave(request.promise.client)

    def plan(self, view: StepView) -> Plan:
        """See `Policy.plan`."""
        dt = view.now - self._last
        self._last = view.now
        self._pressure += (1 - math.exp(-dt / self.options.tau)) * (self._backlog - self._pressure)
        for request in view.waiting:
            if not request.note:
                self._meet(request)
        queues = sort_requests(view.running, view.now)
        waiting = sort_requests(view.waiting, view.now)
        queues.urgent += waiting.urgent
        queues.late += waiting.late
        queues.planned += waiting.planned
        queues.background += waiting.background
        return _Step(self, view, queues).plan()

    def _meet(self, request: RequestView) -> None:
        promise = request.promise
        request.note["met"] = 1.0
        self.shares.enter(promise.client)
        if promise.service is ServiceClass.TTFT:
            allowed = promise.deadline - promise.arrival
            self._allowance = min(allowed, self._allowance * 1.01)


class _Step:
    """The planning of one step."""

    def __init__(self, policy: CatoPolicy, view: StepView, queues: Queues) -> None:
        self.policy = policy
        self.options = policy.options
        self.view = view
        self.queues = queues
        self.riders = queues.decoding + queues.yielding
        self.cost = policy.cost
        self.base = self.cost.seconds(
            sum(r.todo for r in self.riders), len(self.riders), sum(r.computed for r in self.riders)
        )

    def plan(self) -> Plan:
        o, now = self.options, self.view.now
        planned = self._by_slack()
        self.reserved = 0
        self.ulen = o.urgent_step * self.policy._allowance
        p = self.policy._pressure
        over = self.cost.per_token * sum(r.todo for r in self.queues.late) > o.late_cap * self.policy._allowance
        if o.pace_when == "always" or (o.pace_when == "over" and over):
            self.ulen = max(o.pace_floor * self.policy._allowance, min(self.ulen, self._pace()))
        if planned and over and self.queues.urgent:
            self.reserved = int(o.e2e_share * max(0.0, self.ulen - self.base) / self.cost.per_token)
            self.base += self.reserved * self.cost.per_token
        kept, dropped = self._keep()
        if dropped and p < o.calm:
            ul = self.ulen
            self.ulen = o.whole_step * self.policy._allowance
            kept2, dropped2 = self._keep()
            if len(dropped2) < len(dropped): kept, dropped = kept2, dropped2
            else: self.ulen = ul; kept, dropped = self._keep()
        chances: list[RequestView] = []
        late = dropped + self.queues.late
        if o.second_chance and late and not over:
            chances = self._chances(kept, late)
        chosen = set(map(id, chances))
        rest = [r for r in late if id(r) not in chosen]
        self.has_chances = bool(chances)
        length = self._length(kept, chances + planned + rest)
        order = [j.item for j in kept] + chances + planned + nsmallest(16, rest, key=lambda r: (r.todo, r.order))
        order += self.queues.background
        return self._fill(kept, order, length)

    def _pace(self):
        pace = math.inf; now = self.view.now; lengths = self.policy.lengths; floor = self.base * 1.5
        for r in self.queues.decoding:
            p = r.promise
            if p.service is ServiceClass.E2E:
                x = (p.deadline - now) / lengths.remaining(p.kind, r.generated, self.options.pace_q)
                if floor < x < pace: pace = x
        return pace

    def _keep(self):
        o, now = self.options, self.view.now
        jobs = []
        allow = self.policy._allowance
        for r in self.queues.urgent:
            work = self.cost.per_token * r.todo
            due = r.promise.deadline - now
            allowed = r.promise.deadline - r.promise.arrival
            if o.aim:
                early = due - o.decode_margin * allow if allowed <= allow * 1.5 else r.promise.arrival + max(allow, o.generation_aim * allowed) - now
                if work + self.base <= early:
                    due = early
            jobs.append(Job(r, work, due, work))
        self.jobs = jobs
        kept, lost, total = keep_most(jobs, overhead=self.base, step=self.ulen)
        self.total = total
        return kept, [j.item for j in lost]

    def _chances(self, kept, late):
        o, now = self.options, self.view.now
        jobs = []
        for r in late:
            if r.generated: continue
            p = r.promise
            due = p.arrival + o.lateness * (p.deadline - p.arrival) - now
            work = self.cost.per_token * r.todo
            if due > work + self.total: jobs.append(Job(r, work, due, work))
        k, _, _ = keep_most(jobs, overhead=self.base, step=self.ulen, before=self.total)
        return [j.item for j in k]

    def _by_slack(self):
        now = self.view.now; pol = self.policy
        out = []
        jobs = []
        for r in self.queues.planned:
            rest = pol.lengths.remaining(r.promise.kind, r.generated)
            slack = r.promise.deadline - now - rest * pol._step_seconds - self.cost.per_token * r.todo
            w = self.cost.per_token * r.todo
            jobs.append(Job(r, w / self.options.e2e_rate, slack + w, w))
        k, l, _ = keep_most(jobs, overhead=0.0, step=1.0)
        return [j.item for j in k] + sorted((j.item for j in l), key=lambda r: r.order)

    def _length(self, kept, others):
        o = self.options; allow = self.policy._allowance
        if not o.adaptive_step: return math.inf
        if kept:
            need = self.base + sum(j.work for j in kept)
            return min(self.ulen, max(o.fill_step * allow, need))
        if self.has_chances: return o.calm_step * allow
        backlog = self.cost.per_token * sum(r.todo for r in others)
        return max(o.least_step * allow, min(o.calm_step * allow, o.backlog_share * backlog))

    def _fill(self, kept, order, length):
        view = self.view; per = self.cost.per_token
        plan = Plan()
        for r in self.riders: plan.grants[r.id] = r.todo
        left = view.max_tokens - sum(plan.grants.values())
        left = max(0, min(left, max(16, int((length - self.base) / per + self.reserved)) if length < math.inf else left))
        seats = view.max_seats - len(view.running)
        room = math.inf; used = 0
        due = {id(j.item): j.item.promise.deadline - view.now for j in kept}
        if self.reserved:
            lr = min(self.reserved, left)
            for r in order:
                if lr <= 0: break
                if r.promise.service is ServiceClass.E2E and r.id not in plan.grants:
                    if not r.running:
                        if seats <= 0: continue
                        seats -= 1
                    k = min(r.todo, lr); plan.grants[r.id] = k; lr -= k
            self.base -= self.reserved * per
            used = self.reserved - lr
        for r in order:
            if r.id in plan.grants: continue
            k = min(r.todo, left - used)
            d = due.get(id(r))
            if d is not None and k == r.todo:
                m = (d - self.base) / per
                if used + k <= m: room = min(room, m)
            if room < 1e12: k = min(k, int(room - used))
            if k <= 0: break
            if not r.running:
                if seats <= 0: continue
                seats -= 1
            plan.grants[r.id] = k; used += k
        if not plan.grants:
            for r in order:
                if r.running or seats > 0:
                    plan.grants[r.id] = min(r.todo, 64, view.max_tokens); break
        self.policy._backlog = any(plan.grants.get(r.id, 0) < r.todo for r in order)
        held = [r.id for r in view.running if r.id not in plan.grants]
        plan.held = held
        return plan
