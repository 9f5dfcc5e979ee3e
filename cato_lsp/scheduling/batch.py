"""Filling a step: tokens, slots and blocks are handed out until one of them runs short."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain

from cato_lsp.scheduling.policy import StepPlan
from cato_lsp.scheduling.queues import Queues
from cato_lsp.scheduling.slo import ServiceClass
from cato_lsp.scheduling.view import RequestView, StepView


class BatchBuilder:
    """Collects the grants of one step.

    :param base: seconds that the step takes without any prefill.
    :param length: seconds that the step may take.
    :param least: prefill tokens that the step carries however short it should be, so that work never stands still.
    """

    def __init__(self, view: StepView, base: float, length: float, least: int) -> None:
        self.view = view
        self.base = base
        self.costs = view.costs
        self.per_token = view.costs.per_token + view.costs.per_context
        self.least = least
        self.prefill_left: float = max(least, math.ceil((length - base) / self.per_token))
        self.tokens_left = view.max_tokens
        self.slots_left = view.max_slots - len(view.running)
        self.blocks_left = view.free_blocks
        self.used = 0.0
        self.closed = False
        """Whether requests without a slot are left out."""
        self.grants: dict[str, int] = {}
        self.victims: dict[str, None] = {}

    def add_decodes(self, decodes: Iterable[RequestView]) -> None:
        """Grant all that requests in the middle of an answer can use."""
        for request in decodes:
            if self.tokens_left:
                self.grants[request.id] = tokens = min(request.todo, self.tokens_left)
                self.tokens_left -= tokens

    def add(self, request: RequestView, *, at_most: float = math.inf, by_force: bool = False) -> bool:
        """Grant what there is room for; return False once the step is full.

        :param by_force: take slot and blocks from others, and let the step get longer.
        """
        granted = self.grants.get(request.id, 0)
        wanted = min(request.todo - granted, at_most)
        if wanted <= 0 or request.id in self.victims:
            return True
        costs = self.costs
        extra = 0.0 if granted else (costs.per_sequence + costs.per_context * request.computed) / self.per_token
        room = self.tokens_left if by_force else min(self.tokens_left, self.prefill_left - self.used - extra)
        tokens = int(min(wanted, room))
        if tokens <= 0:
            return False
        if not (request.running or granted) and not self._admit(request, by_force):
            return True
        self.grants[request.id] = granted + tokens
        self.tokens_left -= tokens
        self.used += tokens + extra
        return True

    def add_overdue(self, request: RequestView) -> None:
        """Grant a part to a request that was passed over too long; if it does not fit, no other one is admitted."""
        self.add(request, at_most=self.least, by_force=True)
        self.closed = request.id not in self.grants and not request.running

    def add_urgent(self, request: RequestView) -> None:
        """Grant a request that can be on time, and end the step by its deadline if its prompt fits."""
        if self.add(request, by_force=not self._fits(request)) and self.grants.get(request.id) == request.todo:
            on_time = (request.slo.deadline - self.view.now - self.costs.error - self.base) / self.per_token
            if self.used <= on_time < self.prefill_left:
                self.prefill_left = on_time

    def finish(self, queues: Queues) -> StepPlan:
        """Return the plan. It grants something to some request if any can run at all."""
        if not self.grants:
            for request in chain(queues.urgent, queues.e2e, queues.late, queues.background):
                if self.add(request, at_most=self.least, by_force=True) and self.grants:
                    break
        held = [r for r in self.view.running if r.id not in self.grants and r.id not in self.victims]
        held.sort(key=_keeps_blocks)
        return StepPlan(self.grants, [r.id for r in held], list(self.victims))

    def _fits(self, request: RequestView) -> bool:
        return request.running or (self.slots_left > 0 and self._blocks(request) <= self.blocks_left)

    def _blocks(self, request: RequestView) -> int:
        return -(-(request.computed + request.todo) // self.view.block_size)

    def _admit(self, request: RequestView, by_force: bool) -> bool:
        if self.closed:
            return False
        if by_force and not self._fits(request):
            self._make_room(request)
        if not self._fits(request):
            return False
        self.slots_left -= 1
        self.blocks_left -= self._blocks(request)
        return True

    def _make_room(self, request: RequestView) -> None:
        """Preempt requests for which no first token is due, those with the least work to lose first."""
        idle = (r for r in self.view.running if r.id not in self.grants and r.id not in self.victims)
        candidates = [r for r in idle if r.slo.deadline < self.view.now or r.slo.service is not ServiceClass.TTFT]
        for victim in sorted(candidates, key=_keeps_blocks, reverse=True):
            if self._fits(request):
                return
            self.victims[victim.id] = None
            self.slots_left += 1
            self.blocks_left += victim.computed // self.view.block_size


def _keeps_blocks(request: RequestView) -> tuple[bool, int, int]:
    """Sort key: the work that is lost with the blocks, most first; background work last."""
    return request.slo.service is ServiceClass.BACKGROUND, -request.computed, request.order
