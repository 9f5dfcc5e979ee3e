"""The scheduler in a real engine."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.policy import StepPlan
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.scheduling.view import RequestView, StepView
from tests.engine.conftest import start_tiny_engine

StartEngine = Callable[..., Any]


class PolicyThatFails(CatoPolicy):
    """Raises in every other step."""

    def __init__(self) -> None:
        super().__init__(name="fails")
        self.calls = 0

    def plan(self, view: StepView) -> StepPlan:
        self.calls += 1
        if self.calls % 2:
            raise ZeroDivisionError("a bug in a policy")
        return super().plan(view)


class ShuffledPolicy:
    """Grants a few tokens to a changing few: nothing like vLLM's order, pausing and preempting all the time."""

    name = "shuffled"

    def __init__(self) -> None:
        self.step = 0

    def plan(self, view: StepView) -> StepPlan:
        self.step += 1
        plan = StepPlan()
        everyone = sorted([*view.running, *view.waiting], key=lambda r: hash((r.order * 7919, self.step)))
        able = [r for r in everyone if r.todo and (r.running or len(view.running) < view.max_slots)]
        slots = view.max_slots - len(view.running)
        for request in able[:3]:
            if not request.running and slots <= 0:
                continue
            slots -= not request.running
            plan.grants[request.id] = min(request.todo, 1 + (self.step * 13 + request.order) % 40)
        plan.held = [r.id for r in view.running if r.id not in plan.grants]
        if self.step % 5 == 0 and plan.held:
            plan.preempt = [plan.held.pop()]
        if not plan.grants:
            plan.grants = {r.id: 1 for r in view.running if r.todo}
        return plan

    def ended(self, request: RequestView, *, finished: bool) -> None: ...


def slo(kind: TaskKind = TaskKind.COMPLETION, seconds: float = 1.0) -> Slo:
    now = time.monotonic()
    service = ServiceClass.TTFT if kind is TaskKind.COMPLETION else ServiceClass.E2E
    return Slo(kind, service, now, now + seconds, client="window")


def add(engine: Any, name: str, prompt: int, answer: int, cato: Slo | None = None) -> None:
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
        add(engine, f"long-{i}", 300 + 50 * i, 12, slo(TaskKind.SUMMARIZATION, 30.0))
        add(engine, f"short-{i}", 20 + 30 * i, 6, slo())
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
    assert len([r for r in caplog.records if r.name == "cato_lsp.engine.scheduler"]) == 1
    assert "policy fails failed at step 0" in caplog.text


def test_a_scheduler_of_another_vllm_is_refused_at_start(
    start_engine: StartEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cato_lsp.engine import scheduler, vllm_parts

    monkeypatch.setattr(vllm_parts, "_CLASS_PARTS", (*vllm_parts._CLASS_PARTS, "a_part_that_moved"))
    with pytest.raises(vllm_parts.UnsupportedVllmError, match="it lacks a_part_that_moved"):
        start_engine(scheduler_cls=scheduler.make_scheduler_cls(CatoPolicy(), async_scheduling=False))


def test_every_step_is_recorded_and_an_aborted_request_appears_in_none_after(start_engine: StartEngine) -> None:
    from cato_lsp.engine.scheduler import make_scheduler_cls

    steps: list[dict[str, int]] = []
    engine = start_engine(scheduler_cls=make_scheduler_cls(CatoPolicy(), async_scheduling=False, on_step=steps.append))
    add(engine, "gone", 600, 20, slo(TaskKind.SUMMARIZATION, 30.0))
    add(engine, "stays", 40, 30, slo())
    engine.step()
    engine.abort_request(["gone"])
    before = len(steps)
    answers(engine)
    assert any(name.startswith("gone") for step in steps[:before] for name in step)
    assert not any(name.startswith("gone") for step in steps[before:] for name in step)
    assert scheduler_of(engine).computed_tokens == sum(sum(step.values()) for step in steps)
    assert scheduler_of(engine).steps == len(steps)


def test_blocks_all_return_to_the_pool_after_answers_and_aborts(start_engine: StartEngine) -> None:
    from cato_lsp.engine.scheduler import make_scheduler_cls

    engine = start_engine(scheduler_cls=make_scheduler_cls(ShuffledPolicy(), async_scheduling=False))
    pool = scheduler_of(engine).kv_cache_manager.block_pool
    free = pool.get_num_free_blocks()
    add_mix(engine)
    for _ in range(4):
        engine.step()
    engine.abort_request(["long-1", "short-2", "no-promise"])
    assert len(answers(engine)) == 6
    assert pool.get_num_free_blocks() == free


def test_a_prompt_that_was_seen_before_is_found_in_the_prefix_cache(start_engine: StartEngine) -> None:
    from cato_lsp.engine.scheduler import make_scheduler_cls

    engine = start_engine(scheduler_cls=make_scheduler_cls(CatoPolicy(), async_scheduling=False))
    add(engine, "a", 320, 4, slo())
    first = answers(engine)
    computed = scheduler_of(engine).computed_tokens
    add(engine, "b", 320, 4, slo())
    add(engine, "a", 320, 4, slo())
    again = answers(engine)
    assert again["a"] == first["a"]
    assert scheduler_of(engine).computed_tokens - computed < 2 * 323 - 256


def test_speculative_decoding_gives_the_same_answers(tiny_model: Path) -> None:
    """In a process of its own: n-gram speculation imports numba, and vLLM's CPU backend starts no engine after that."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        plain, speculative, errors = pool.submit(_answers_with_and_without_speculation, tiny_model).result()
    assert speculative == plain
    assert errors == 0


def _answers_with_and_without_speculation(model: Path) -> tuple[Any, Any, int]:
    from cato_lsp.engine.scheduler import make_scheduler_cls

    plain = start_tiny_engine(model)
    add(plain, "long", 200, 60)
    expected = answers(plain)
    speculation = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3, "prompt_lookup_min": 1}
    cls = make_scheduler_cls(CatoPolicy(), async_scheduling=False)
    engine = start_tiny_engine(model, scheduler_cls=cls, speculative_config=speculation)
    add(engine, "long", 200, 60, slo())
    return expected, answers(engine), scheduler_of(engine).policy_errors
