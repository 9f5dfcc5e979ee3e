"""Our policy (first version: earliest deadline first, background on what is left)."""

from __future__ import annotations

from cato_lsp.scheduling.plan import Plan
from cato_lsp.scheduling.promise import ServiceClass
from cato_lsp.scheduling.view import RequestView, StepCost, StepView


def _urgency(request: RequestView) -> tuple[int, float, int]:
    rank = 2 if request.promise.service is ServiceClass.BACKGROUND else int(request.answered)
    return rank, request.promise.deadline, request.order


class CatoPolicy:
    """Serves unanswered requests by deadline, then decodes, then background work."""

    name = "cato"

    def plan(self, view: StepView) -> Plan:
        """See `Policy.plan`."""
        plan = Plan()
        budget = view.max_tokens
        seats = view.max_seats - len(view.running)
        for request in sorted([*view.running, *view.waiting], key=_urgency):
            tokens = min(request.todo, budget)
            if tokens <= 0:
                continue
            if not request.running:
                if seats == 0:
                    continue
                seats -= 1
            plan.grants[request.id] = tokens
            budget -= tokens
        plan.held = [r.id for r in sorted(view.running, key=_urgency) if r.id not in plan.grants]
        return plan

    def learn(self, cost: StepCost) -> None:
        """See `Policy.learn`."""

    def ended(self, request: RequestView, *, finished: bool) -> None:
        """See `Policy.ended`."""
