"""The scheduler for engines that plan a step while the one before it runs, in virtual time.

vLLM's CPU backend never plans ahead; here the test does, with blocks and slots so short that requests give way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cato_lsp.bench.core import start_core
from cato_lsp.bench.executor import STOP_TOKEN, VirtualClock, make_executor_cls
from cato_lsp.bench.hardware import load_profile
from cato_lsp.bench.poisson import poisson
from cato_lsp.bench.policies import POLICIES, PolicySpec
from cato_lsp.bench.workload import Workload, WorkloadCall

SHORT = replace(load_profile("h200-qwen2.5-coder-7b"), kv_tokens=24_000, max_slots=12, max_tokens=2048)


class Ahead:
    """vLLM's core under a policy, stepped so that each step is planned before the tokens of the last one are known."""

    def __init__(self, policy: str) -> None:
        self.clock = VirtualClock()
        self.lengths: dict[str, int] = {}
        self.largest_step = self.preemptions = 0
        scheduler_cls = POLICIES[policy].scheduler_cls(self.clock, async_scheduling=True)
        spec = PolicySpec(policy, "planned ahead", engine_options={"scheduler_cls": scheduler_cls})
        executor = make_executor_cls(SHORT, self.clock, self.lengths, self._executed)
        self.core: Any = start_core(False, spec, SHORT, executor, self.clock)
        self.answers: dict[str, int] = {}
        self.ended: set[str] = set()
        self._before: tuple[Any, Any] | None = None

    def _executed(self, _start: float, _end: float, tokens: dict[str, int]) -> None:
        self.largest_step = max(self.largest_step, sum(tokens.values()))

    def add(self, number: int, call: WorkloadCall, workload: Workload) -> None:
        from vllm import SamplingParams
        from vllm.v1.request import Request

        self.lengths[str(number)] = call.answer
        extra = {"cato": workload.slo(call, call.time)}
        params = SamplingParams(temperature=0.0, max_tokens=8192, stop_token_ids=[STOP_TOKEN], extra_args=extra)
        ids = [3] * call.prompt
        self.core.add_request(Request(str(number), ids, params, None, arrival_time=call.time))

    def step(self) -> None:
        scheduler = self.core.scheduler
        scheduled = scheduler.schedule()
        sampled = self.core.model_executor.execute_model(scheduled)
        counts = [request.num_preemptions for request in scheduler.requests.values()]
        self.preemptions = max(self.preemptions, *counts, 0)
        if self._before is not None:
            for batch in scheduler.update_from_output(*self._before).values():
                for output in batch.outputs:
                    name = output.request_id
                    self.answers[name] = self.answers.get(name, 0) + len(output.new_token_ids)
                    if output.finish_reason is not None:
                        self.ended.add(name)
        self._before = scheduled, sampled


@pytest.mark.parametrize("policy", ["cato", "edf"])
def test_planned_ahead_every_request_ends_with_its_answer_and_gives_back_its_blocks(policy: str) -> None:
    workload = poisson(rate=0.5, seed=1, duration=20.0)
    calls = [call for call in workload.calls if call.prompt < 8000]
    engine = Ahead(policy)
    scheduler = engine.core.scheduler
    pool = scheduler.kv_cache_manager.block_pool
    free, position = pool.get_num_free_blocks(), 0
    while position < len(calls) or scheduler.has_unfinished_requests():
        while position < len(calls) and calls[position].time <= engine.clock.now:
            engine.add(position, calls[position], workload)
            position += 1
        if scheduler.has_unfinished_requests():
            engine.step()
        else:
            engine.clock.now = max(engine.clock.now, calls[position].time)
    engine.step()
    assert engine.ended == {str(number) for number in range(len(calls))}
    assert engine.answers == {str(number): call.answer for number, call in enumerate(calls)}
    assert engine.preemptions > 0, "blocks were short"
    assert engine.largest_step <= SHORT.max_tokens
    assert scheduler.policy_errors == 0
    assert pool.get_num_free_blocks() == free
