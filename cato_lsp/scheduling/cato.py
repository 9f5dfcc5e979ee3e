"""Our policy: every step computes the tokens that keep the most promises.

A step is planned in five moves (`StepPlanner.plan`):

1. Requests in the middle of an answer ride along: beside a prefill their tokens cost next to nothing.
2. Of the requests whose first token is due, the greatest set that can be on time is kept (Moore and Hodgson).
   Of a burst that cannot all be on time the heaviest are served after the others; first come, first served
   would be late for all of them.
3. Time that the kept can spare goes, by due time and not after them, to those who are late but can be answered soon,
   and to E2E prompts whose latest start has come (`keep_most` with two tiers).
4. The step gets a length. It serves kept requests as long as they need, within a part of the tightest promise, since
   whoever arrives meanwhile waits for its end, and within the pace of an answer whose last token is due soon. Without
   kept requests it is short, and longer only as work piles up, but no longer than makes its fixed cost a small part.
5. The step is filled in order: the one that was passed over for too long, those of moves 2 and 3 by due time, other
   E2E prompts by slack, the late by what is left of them, the background.
"""

from __future__ import annotations

import math

from cato_lsp.scheduling.fairness import ClientShares
from cato_lsp.scheduling.lengths import AnswerLengths
from cato_lsp.scheduling.options import CatoOptions
from cato_lsp.scheduling.plan import StepPlan
from cato_lsp.scheduling.planner import StepPlanner
from cato_lsp.scheduling.slo import ServiceClass
from cato_lsp.scheduling.view import RequestView, StepView

_PRESSURE_SECONDS = 20.0


class CatoPolicy:
    """What is learned from step to step; the planning of one step is `StepPlanner`'s.

    One object plans one engine. It keeps no reference to a request.
    """

    def __init__(self, options: CatoOptions | None = None, name: str = "cato") -> None:
        self.name = name
        self.options = options or CatoOptions()
        self.lengths = AnswerLengths()
        self.shares = ClientShares()
        self.tightest_ttft = 0.2
        """The tightest first-token promise seen lately, seconds."""
        self.pressure = 0.0
        """The part of the time, of late, in which prefill had to wait."""
        self.last_urgent = -math.inf
        """When somebody urgent last arrived."""
        self._backlog = False
        self._planned_at = 0.0

    def plan(self, view: StepView) -> StepPlan:
        """See `Policy.plan`."""
        elapsed = max(0.0, view.now - self._planned_at)
        self._planned_at = view.now
        self.pressure += (1 - math.exp(-elapsed / _PRESSURE_SECONDS)) * (self._backlog - self.pressure)
        for request in view.waiting:
            if not request.note:
                self._meet(request)
        plan, self._backlog = StepPlanner(self, view).plan()
        return plan

    def ended(self, request: RequestView, *, finished: bool) -> None:
        """See `Policy.ended`."""
        if finished and request.generated:
            self.lengths.add(request.slo.kind, request.generated)
        if request.note:
            self.shares.leave(request.slo.client)

    def _meet(self, request: RequestView) -> None:
        slo = request.slo
        request.note["met"] = 1.0
        self.shares.enter(slo.client)
        if slo.service is ServiceClass.TTFT:
            self.last_urgent = slo.arrival
            allowed = slo.deadline - slo.arrival
            if allowed > 0:
                self.tightest_ttft = min(allowed, self.tightest_ttft * 1.01)
