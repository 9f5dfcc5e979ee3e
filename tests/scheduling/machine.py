"""A machine that carries out plans to the letter and checks them, without vLLM: thousands of steps a second."""

from __future__ import annotations

from dataclasses import dataclass, field

from cato_lsp.scheduling.cost import StepCost, StepCostModel
from cato_lsp.scheduling.policy import Policy, StepPlan
from cato_lsp.scheduling.view import RequestView, StepView


@dataclass(slots=True, eq=False)
class Job:
    """A request and what only the machine knows of it."""

    view: RequestView
    answer: int
    first: float | None = None
    last: float | None = None


@dataclass(slots=True)
class Machine:
    """Slots, KV blocks and a clock. A step takes 5 ms and 50 µs a token."""

    policy: Policy
    slots: int = 8
    blocks: int = 1000
    max_tokens: int = 512
    block_size: int = 16
    now: float = 0.0
    longest: float = 0.0
    costs: StepCostModel = field(default_factory=StepCostModel)
    plans: list[StepPlan] = field(default_factory=list)

    def play(self, jobs: list[Job], steps: int = 200_000) -> None:
        """Serve all jobs, each from its arrival on; fails if `steps` do not suffice."""
        coming = sorted(jobs, key=lambda job: job.view.slo.arrival, reverse=True)
        live: dict[str, Job] = {}
        running: list[RequestView] = []
        waiting: list[RequestView] = []
        while coming or live:
            while coming and coming[-1].view.slo.arrival <= self.now:
                job = coming.pop()
                live[job.view.id] = job
                waiting.append(job.view)
            if not live:
                self.now = coming[-1].view.slo.arrival
                continue
            assert steps, "somebody never ends"
            steps -= 1
            self._step(live, running, waiting)

    def _step(self, live: dict[str, Job], running: list[RequestView], waiting: list[RequestView]) -> None:
        free = self.blocks - sum(self._blocks(r) for r in running)
        view = StepView(
            self.now,
            list(running),
            list(waiting),
            self.max_tokens,
            self.slots,
            free,
            self.block_size,
            costs=self.costs.costs,
        )
        plan = self.policy.plan(view)
        self.plans.append(plan)
        for name in plan.preempt:
            self._preempt(live[name].view, running, waiting)
        assert plan.grants, "a plan grants somebody something"
        assert sum(plan.grants.values()) <= self.max_tokens
        for name, tokens in plan.grants.items():
            request = live[name].view
            assert 0 < tokens <= request.todo
            if not request.running:
                waiting.remove(request)
                running.append(request)
                request.running = True
            request.computed += tokens
            request.todo -= tokens
        assert len(running) <= self.slots
        assert set(plan.held) <= {r.id for r in running if r.id not in plan.grants}
        self._end_step(plan, live, running, waiting)

    def _end_step(
        self, plan: StepPlan, live: dict[str, Job], running: list[RequestView], waiting: list[RequestView]
    ) -> None:
        tokens = sum(plan.grants.values())
        seconds = 5e-3 + 50e-6 * tokens
        self.now += seconds
        self.longest = max(self.longest, seconds)
        self.costs.learn(StepCost(tokens, len(plan.grants), 0, seconds))
        for name in plan.grants:
            job = live[name]
            request = job.view
            if request.todo:
                continue
            request.generated += 1
            request.todo = 1
            job.first = job.first or self.now
            if request.generated == job.answer:
                job.last = self.now
                running.remove(request)
                del live[name]
                self.policy.ended(request, finished=True)
        # Answers grow: when blocks run short, vLLM takes them from the end of its list.
        order = {name: place for place, name in enumerate([*plan.grants, *plan.held])}
        running.sort(key=lambda r: order.get(r.id, len(order)))
        while sum(self._blocks(r) for r in running) > self.blocks:
            self._preempt(running[-1], running, waiting)

    def _blocks(self, request: RequestView) -> int:
        return -(-request.computed // self.block_size)

    def _preempt(self, request: RequestView, running: list[RequestView], waiting: list[RequestView]) -> None:
        running.remove(request)
        waiting.append(request)
        request.running = False
        request.computed, request.todo = 0, request.prompt + request.generated
