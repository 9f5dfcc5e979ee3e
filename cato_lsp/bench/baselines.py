"""Rival policies, for comparison on the same engine."""

from __future__ import annotations

from collections.abc import Iterable

from cato_lsp.scheduling.policy import StepPlan
from cato_lsp.scheduling.queues import DECODE_TOKENS
from cato_lsp.scheduling.view import RequestView, StepView


def serve_in_order(view: StepView, order: Iterable[RequestView], budget: int) -> StepPlan:
    """Give each request all the tokens it can use, in order, within the budget. New requests need a free slot."""
    plan = StepPlan()
    slots = view.max_slots - len(view.running)
    for request in order:
        tokens = min(request.todo, budget)
        if tokens <= 0:
            continue
        if not request.running:
            if slots == 0:
                continue
            slots -= 1
        plan.grants[request.id] = tokens
        budget -= tokens
    plan.held = [r.id for r in view.running if r.id not in plan.grants]
    return plan


class _Stateless:
    """A policy that learns nothing."""

    def ended(self, request: RequestView, *, finished: bool) -> None:
        """See `Policy.ended`."""


class EarliestDeadlineFirst(_Stateless):
    """All requests in order of deadline, of first and last tokens alike, in steps as large as possible."""

    name = "edf"

    def plan(self, view: StepView) -> StepPlan:
        """See `Policy.plan`."""
        everyone = [*view.running, *view.waiting]
        everyone.sort(key=lambda r: (r.slo.deadline, r.order))
        return serve_in_order(view, everyone, view.max_tokens)


class PressureAdaptive(_Stateless):
    """vLLM's order with a token budget that shrinks under pressure, after P-PAS+ (vLLM RFC #52906, arXiv 2608.15171).

    Pressure: at least two prefills and a decode, or one long prefill and at least two decodes.
    """

    name = "pressure"

    def __init__(self, capped: int = 1280, long_prefill: int = 4096) -> None:
        self.capped = capped
        self.long_prefill = long_prefill

    def plan(self, view: StepView) -> StepPlan:
        """See `Policy.plan`."""
        prefills = [r for r in view.running if r.todo > DECODE_TOKENS]
        decodes = len(view.running) - len(prefills)
        active = len(prefills) + min(len(view.waiting), max(0, view.max_slots - len(view.running)))
        long_one = len(prefills) == 1 and decodes >= 2 and prefills[0].todo >= self.long_prefill
        pressed = (active >= 2 and decodes > 0) or long_one
        budget = min(view.max_tokens, max(self.capped, decodes)) if pressed else view.max_tokens
        return serve_in_order(view, [*view.running, *view.waiting], budget)
