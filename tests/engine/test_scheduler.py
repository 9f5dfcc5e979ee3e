"""The scheduler in a real engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.plan import Plan
from cato_lsp.scheduling.promise import Promise, ServiceClass, TaskKind
from cato_lsp.scheduling.view import RequestView, StepCost, StepView

StartEngine = Callable[..., Any]


class PolicyThatFails(CatoPolicy):
    """Raises in every other step."""

    name = "fails"

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def plan(self, view: StepView) -> Plan:
        self.calls += 1
        if self.calls % 2:
            raise ZeroDivisionError("a bug in a policy")
        return super().plan(view)


class ShuffledPolicy:
    """Grants a few tokens to a changing few: nothing like vLLM's order, pausing and preempting all the time."""

    name = "shuffled"

    def __init__(self) -> None:
        self.step = 0

    def plan(self, view: StepView) -> Plan:
        self.step += 1
        plan = Plan()
        everyone = sorted([*view.running, *view.waiting], key=lambda r: hash((r.order * 7919, self.step)))
        able = [r for r in everyone if r.todo and (r.running or len(view.running) < view.max_seats)]
        seats = view.max_seats - len(view.running)
        for request in able[:3]:
            if not request.running and seats <= 0:
                continue
            seats -= not request.running
            plan.grants[request.id] = min(request.todo, 1 + (self.step * 13 + request.order) % 40)
        plan.held = [r.id for r in view.running if r.id not in plan.grants]
        if self.step % 5 == 0 and plan.held:
            plan.preempt = [plan.held.pop()]
        if not plan.grants:
            plan.grants = {r.id: 1 for r in view.running if r.todo}
        return plan

    def learn(self, cost: StepCost) -> None: ...

    def ended(self, request: RequestView, *, finished: bool) -> None: ...


def promise(kind: TaskKind = TaskKind.COMPLETION, seconds: float = 1.0) -> Promise:
    now = time.monotonic()
    service = ServiceClass.TTFT if kind is TaskKind.COMPLETION else ServiceClass.E2E
    return Promise(kind, service, now, now + seconds, client="window")


def add(engine: Any, name: str, prompt: int, answer: int, cato: Promise | None = None) -> None:
    from vllm import SamplingParams

    ids = [3 + (17 * i + 31 * len(name) + ord(name[-1])) % 500 for i in range(prompt)]
    extra = {"cato": cato} if cato else None
    params = SamplingParams(temperature=0.0, max_tokens=answer, ignore_eos=True, detokenize=False, extra_args=extra)
    engine.add_request(name, {"prompt_token_ids": ids}, params)


def answers(engine: Any, *, steps: int = 2000) -> dict[str, list[int]]:
    """Steps the engine until nothing is left; the token ids of every answer."""
    done: dict[str, list[int]] = {}
    for _ in range(steps):
        if not engine.has_unfinished_requests():
            return done
        for output in engine.step():
            if output.finished:
                done[output.request_id] = list(output.outputs[0].token_ids)
    pytest.fail(f"requests never ended; done: {sorted(done)}")


def scheduler_of(engine: Any) -> Any:
    return engine.engine_core.engine_core.scheduler


def add_mix(engine: Any) -> None:
    for i in range(4):
        add(engine, f"long-{i}", 300 + 50 * i, 12, promise(TaskKind.SUMMARIZATION, 30.0))
        add(engine, f"short-{i}", 20 + 30 * i, 6, promise())
    add(engine, "no-promise", 90, 8)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("policy_type", [CatoPolicy, ShuffledPolicy, PolicyThatFails])
def test_scheduling_never_changes_an_answer(
    start_engine: StartEngine, policy_type: Callable[[], Any], asynchronous: bool
) -> None:
    from cato_lsp.engine.scheduler import make_scheduler_cls

    stock = start_engine(async_scheduling=asynchronous)
    add_mix(stock)
    expected = answers(stock)
    cls = make_scheduler_cls(policy_type(), async_scheduling=asynchronous)
    ours = start_engine(async_scheduling=asynchronous, scheduler_cls=cls)
    add_mix(ours)
    assert answers(ours) == expected
    assert len(expected) == 9


def test_a_policy_that_raises_leaves_the_step_to_vllm_and_is_logged_once(
    start_engine: StartEngine, caplog: pytest.LogCaptureFixture
) -> None:
    from cato_lsp.engine.scheduler import make_scheduler_cls

    engine = start_engine(scheduler_cls=make_scheduler_cls(PolicyThatFails(), async_scheduling=False))
    add_mix(engine)
    with caplog.at_level(logging.ERROR, logger="cato_lsp.engine.scheduler"):
        assert len(answers(engine)) == 9
    assert scheduler_of(engine).policy_errors > 2
    assert len(caplog.records) == 1
    assert "failed at step 0" in caplog.text
