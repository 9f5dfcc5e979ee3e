"""vLLM's real engine core and scheduler on a simulated machine, with a virtual clock of its own."""

from __future__ import annotations

import copy
import math
from typing import Any

from cato_lsp.bench.core import start_core, step
from cato_lsp.bench.executor import STOP_TOKEN, OnStep, VirtualClock, make_executor_cls
from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.policies import PolicySpec
from cato_lsp.bench.workload import MAX_ANSWER, PRIORITY
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

MAX_EMPTY_STEPS = 1000
WARM_UP = ((256,), (64, 64, 64, 64))
"""Prompts that run together, as the live engine runs them before it serves (`EngineThread`)."""
WARM_UP_ANSWER = 6


class VirtualEngine:
    """One engine under one policy.

    :param on_step: called after each step; see `OnStep`.
    """

    def __init__(self, shares_prefixes: bool, policy: PolicySpec, profile: HardwareProfile, on_step: OnStep) -> None:
        self.clock = VirtualClock()
        self._policy = policy
        self._answer_lengths: dict[str, int] = {}
        self._empty = 0
        self._on_step = on_step
        executor_cls = make_executor_cls(profile, self.clock, self._answer_lengths, self._stepped)
        self.core = start_core(shares_prefixes, policy, profile, executor_cls, self.clock)
        from vllm import SamplingParams
        from vllm.v1.request import Request

        self._make_request = Request
        self._params = {
            kind: SamplingParams(temperature=0.0, max_tokens=most, stop_token_ids=[STOP_TOKEN])
            for kind, most in MAX_ANSWER.items()
        }

    @property
    def busy(self) -> bool:
        """Whether there is anything to compute."""
        return self.core.scheduler.has_unfinished_requests()

    @property
    def costs(self) -> StepCosts:
        """The learned step costs; the defaults for stock vLLM, which learns none."""
        model = getattr(self.core.scheduler, "cost_model", None)
        return StepCosts() if model is None else model.costs

    @property
    def policy_errors(self) -> int:
        """Steps that ran in stock order because the policy raised."""
        return getattr(self.core.scheduler, "policy_errors", 0)

    def warm_up(self) -> None:
        """Run prompts from which the engine learns its first step costs. It happens before time 0."""
        slo = Slo(TaskKind.WARMUP, ServiceClass.BACKGROUND, 0.0, math.inf, client="")
        told, self._on_step = self._on_step, _ignore
        self.clock.now = -1e3  # all is over long before 0
        for number, prompts in enumerate(WARM_UP):
            for place, prompt in enumerate(prompts):
                self.add(f"warm-up-{number}-{place}", [3 + number + place] * prompt, WARM_UP_ANSWER, slo)
            while self.busy:
                self.step()
        self._on_step = told
        self.clock.now = 0.0

    def add(self, name: str, prompt: list[int], answer: int, slo: Slo) -> None:
        """Add a request whose answer will have ``answer`` tokens."""
        self._answer_lengths[name] = answer
        params = copy.copy(self._params[slo.kind])
        params.extra_args = {"cato": slo}
        request = self._make_request(
            request_id=name,
            prompt_token_ids=prompt,
            sampling_params=params,
            pooling_params=None,
            arrival_time=slo.arrival,
            priority=PRIORITY[slo.kind],
            block_hasher=self.core.request_block_hasher,
        )
        self.core.add_request(request)

    def abort(self, name: str) -> None:
        """Abort a request; nothing happens if it has ended."""
        if name in self.core.scheduler.requests:
            self.core.abort_requests([name])

    def step(self) -> list[Any]:
        """Plan and execute one step, and return the outputs of requests.

        Raises:
            RuntimeError: the policy computes nothing, step after step.
        """
        outputs, executed = step(self.core)
        self._empty = 0 if executed else self._empty + 1
        if self._empty > MAX_EMPTY_STEPS:
            raise RuntimeError(f"policy {self._policy.name} computes nothing at {self.clock.now:.3f} s")
        return outputs

    def _stepped(self, start: float, end: float, tokens: dict[str, int]) -> None:
        self._on_step(start, end, tokens)

    def stop(self) -> None:
        """Shut the scheduler down: not the core, which would collect the garbage of the whole process."""
        self.core.scheduler.shutdown()


def _ignore(_start: float, _end: float, _tokens: dict[str, int]) -> None:
    return
