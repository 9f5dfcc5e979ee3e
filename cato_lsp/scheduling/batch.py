"""Filling a step: tokens, slots and blocks are handed out until one of them runs short."""

from __future__ import annotations

import math
from collections.abc import Iterable

from cato_lsp.scheduling.plan import StepPlan
from cato_lsp.scheduling.queues import Queues
from cato_lsp.scheduling.slo import ServiceClass
from cato_lsp.scheduling.view import RequestView, StepView

_LEAST_TOKENS = 16
"""Prefill that a step carries however short it should be, so that work never stands still."""


class BatchBuilder:
    """Collects the grants of one step.

    `length` is how many seconds the step may take, `base` how many of them it takes without any prefill;
    `per_token` and `per_sequence` are what more tokens and more requests add.
    """

    def __init__(self, view: StepView, *, base: float, per_token: float, per_sequence: float, length: float) -> None:
        self.view = view
        self.base = base
        self.per_token = per_token
        self.tokens_per_request = per_sequence / per_token
        self.prefill_left = math.inf
        if length < math.inf:
            self.prefill_left = max(_LEAST_TOKENS, math.ceil((length - base) / per_token))
        self.tokens_left = view.max_tokens
        self.slots_left = view.max_slots - len(view.running)
        self.blocks_left = view.free_blocks
        self.used = 0.0
        self.closed = False
        """Whether whoever has no slot is left out."""
        self.grants: dict[str, int] = {}
        self.victims: dict[str, None] = {}

    def add_decodes(self, decodes: Iterable[RequestView]) -> None:
        """Grant all that requests in the middle of an answer can use."""
        grants, left = self.grants, self.tokens_left
        for request in decodes:
            tokens = request.todo
            if tokens > left:
                tokens = left
            if tokens > 0:
                grants[request.id] = tokens
                left -= tokens
        self.tokens_left = left

    def add(self, request: RequestView, *, at_most: float = math.inf, by_force: bool = False) -> bool:
        """Grant what there is room for; False once there is room for nothing more.

        `by_force`: slot and blocks are taken from others, and the step is as long as it gets.
        """
        granted = self.grants.get(request.id, 0)
        wanted = min(request.todo - granted, at_most)
        if wanted <= 0 or request.id in self.victims:
            return True
        room = self.tokens_left if by_force else min(self.tokens_left, self.prefill_left - self.used)
        tokens = int(min(wanted, room))
        if tokens <= 0:
            return False
        if not (request.running or granted) and not self._admit(request, by_force):
            return True
        self.grants[request.id] = granted + tokens
        self.tokens_left -= tokens
        self.used += tokens if granted else tokens + self.tokens_per_request
        return True

    def add_overdue(self, request: RequestView, at_most: int) -> None:
        """Grant a part to who was passed over too long; if there is no room for it, nobody else is let in."""
        self.add(request, at_most=at_most, by_force=True)
        self.closed = request.id not in self.grants and not request.running

    def add_urgent(self, request: RequestView, safety: float) -> None:
        """Grant a request that is to be answered on time, and let the step end by then if that is how it ends."""
        if self.add(request, by_force=self._is_short(request)) and self.grants.get(request.id) == request.todo:
            on_time = (request.slo.deadline - self.view.now - safety - self.base) / self.per_token
            if self.used <= on_time < self.prefill_left:
                self.prefill_left = on_time

    def share(self, requests: Iterable[RequestView], tokens: int) -> None:
        """Grant `tokens` to the first of some requests."""
        for request in requests:
            before = self.used
            if tokens <= 0 or not self.add(request, at_most=tokens):
                return
            tokens -= math.ceil(self.used - before)

    def finish(self, queues: Queues) -> StepPlan:
        """The plan. Somebody is granted something, if anybody can run at all."""
        if not self.grants:
            everyone = (queues.urgent, queues.e2e, queues.late, queues.background)
            for request in (r for queue in everyone for r in queue):
                if self.add(request, at_most=_LEAST_TOKENS, by_force=True) and self.grants:
                    break
        grants = self.grants
        held = [r for r in self.view.running if r.id not in grants and r.id not in self.victims]
        if len(held) > 1:
            held.sort(key=_keeps_blocks)
        return StepPlan(grants, [r.id for r in held], list(self.victims))

    def waits(self, requests: Iterable[RequestView]) -> bool:
        """Whether some of these requests did not get all that they can use."""
        grants = self.grants
        return any(grants.get(r.id, 0) < r.todo for r in requests)

    def _is_short(self, request: RequestView) -> bool:
        if request.running:
            return False
        return self.slots_left <= 0 or self._blocks(request) > self.blocks_left

    def _blocks(self, request: RequestView) -> int:
        return -(-(request.computed + request.todo) // self.view.block_size)

    def _admit(self, request: RequestView, by_force: bool) -> bool:
        if self.closed:
            return False
        need = self._blocks(request)
        if by_force and (self.slots_left <= 0 or need > self.blocks_left):
            self._make_room(need)
        if self.slots_left <= 0 or need > self.blocks_left:
            return False
        self.slots_left -= 1
        self.blocks_left -= need
        return True

    def _make_room(self, blocks: int) -> None:
        """Preempt those with least work to lose, of those that no promise needs now."""
        now = self.view.now
        candidates = [
            r
            for r in self.view.running
            if r.id not in self.grants
            and r.id not in self.victims
            and (r.slo.deadline < now or r.slo.service is not ServiceClass.TTFT)
        ]
        candidates.sort(key=_keeps_blocks, reverse=True)
        for victim in candidates:
            if self.slots_left > 0 and blocks <= self.blocks_left:
                return
            self.victims[victim.id] = None
            self.slots_left += 1
            self.blocks_left += victim.computed // self.view.block_size


def _keeps_blocks(request: RequestView) -> tuple[bool, int, int]:
    """Sorts requests by what is lost with their blocks, most first."""
    return request.slo.service is ServiceClass.BACKGROUND, -request.computed, request.order
