"""The simulator ("twin"): vLLM's real engine core and scheduler on a simulated machine, in virtual time."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from cato_lsp.bench.core import start_core, step
from cato_lsp.bench.executor import STOP_TOKEN, VirtualClock, make_executor_cls
from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.policies import PolicySpec
from cato_lsp.bench.result import CallResult, Run, TimelineStep
from cato_lsp.bench.workload import MAX_ANSWER, PRIORITY, Workload, WorkloadCall, token_ids
from cato_lsp.scheduling.slo import TaskKind

MAX_EMPTY_STEPS = 1000


class Twin:
    """One engine under one policy, played once."""

    def __init__(self, workload: Workload, policy: PolicySpec, profile: HardwareProfile) -> None:
        self.workload = workload
        self.policy = policy
        self.clock = VirtualClock()
        self.results: list[CallResult] = []
        self.steps: list[TimelineStep] = []
        self._answer_lengths: dict[str, int] = {}
        self._live: dict[str, int] = {}  # client to its completion in flight or last answered
        executor_cls = make_executor_cls(profile, self.clock, self._answer_lengths, self._executed)
        self.core = start_core(workload.shares_prefixes, policy, profile, executor_cls, self.clock)
        from vllm import SamplingParams
        from vllm.v1.request import Request

        self._make_request = Request
        self._params = {
            kind: SamplingParams(temperature=0.0, max_tokens=most, stop_token_ids=[STOP_TOKEN])
            for kind, most in MAX_ANSWER.items()
        }

    def play(self, progress: Callable[[float], None] | None = None) -> Run:
        """Play the workload to the end. `progress` is called from time to time with the virtual time."""
        calls = self.workload.calls
        core, clock, scheduler = self.core, self.clock, self.core.scheduler
        position = empty = 0
        while position < len(calls) or scheduler.has_unfinished_requests():
            while position < len(calls) and calls[position].time <= clock.now:
                self._arrive(position, calls[position])
                position += 1
            if not scheduler.has_unfinished_requests():
                if position < len(calls):
                    clock.now = max(clock.now, calls[position].time)
                continue
            outputs, executed = step(core)
            empty = 0 if executed else empty + 1
            if empty > MAX_EMPTY_STEPS:
                raise RuntimeError(f"policy {self.policy.name} computes nothing at {clock.now:.3f} s")
            self._take(outputs)
            if progress is not None and len(self.steps) % 256 == 0:
                progress(min(clock.now, self.workload.duration))
        scheduler.shutdown()  # not the core's, which collects the garbage of the whole process: `simulate` does so once
        return Run(
            policy=self.policy.name,
            duration=self.workload.duration,
            makespan=clock.now,
            busy=sum(step.end - step.start for step in self.steps),
            results=self.results,
            steps=self.steps,
            policy_errors=getattr(scheduler, "policy_errors", 0),
        )

    def _arrive(self, index: int, call: WorkloadCall) -> None:
        live = self._live.get(call.client)
        if call.follows and live is not None and not math.isnan(self.results[live].first):
            return
        if (call.supersedes or call.follows) and live is not None:
            self._cancel(live, call.time)
        if not call.prompt:
            return
        position = len(self.results)
        slo = self.workload.slo(call, call.time)
        self.results.append(CallResult(slo, call.prompt))
        if call.kind is TaskKind.COMPLETION:
            self._live[call.client] = position
        self._answer_lengths[str(position)] = call.answer
        params = copy.copy(self._params[call.kind])
        params.extra_args = {"cato": slo}
        request = self._make_request(
            request_id=str(position),
            prompt_token_ids=token_ids(call, index) if self.workload.shares_prefixes else [3] * call.prompt,
            sampling_params=params,
            pooling_params=None,
            arrival_time=call.time,
            priority=PRIORITY[call.kind],
            block_hasher=self.core.request_block_hasher,
        )
        self.core.add_request(request)

    def _cancel(self, position: int, time: float) -> None:
        del self._live[self.results[position].slo.client]
        result = self.results[position]
        if not math.isnan(result.last):
            return
        result.cancelled = time
        if self.steps and self.steps[-1].end > time:
            result.wasted = self.steps[-1].tokens.get(position, 0)
        self.core.abort_requests([str(position)])

    def _take(self, outputs: list[Any]) -> None:
        results, now = self.results, self.clock.now
        for output in outputs:
            result = results[int(output.request_id)]
            if not result.generated:
                result.first = now
            result.generated += len(output.new_token_ids)
            if output.finish_reason is not None:
                result.last = now

    def _executed(self, start: float, end: float, tokens: dict[str, int]) -> None:
        results = self.results
        by_position: dict[int, int] = {}
        for name, count in tokens.items():
            position = int(name)
            by_position[position] = count
            results[position].computed += count
        self.steps.append(TimelineStep(start, end, by_position))
