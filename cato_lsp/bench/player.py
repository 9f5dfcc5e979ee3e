"""Plays a workload's events: which become calls, and which cancel one.

A call with a deadline for its end is a task of one call, and tells its work as the product's tasks do.
"""

from __future__ import annotations

import math
from dataclasses import replace

from cato_lsp.bench.result import CallResult
from cato_lsp.bench.workload import Workload, WorkloadCall, token_ids
from cato_lsp.orchestrator.call_times import CallTimes
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.lengths import TYPICAL
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.calls import CallEstimate


class Player:
    """The users' side of a run. A subclass has the engines: `submit` and `abort`."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.results: list[CallResult] = []
        """Of each call, in order of arrival. A call is known by its position here."""
        self.start = 0.0
        """When the workload begins, on the engines' clock."""
        self._live: dict[str, int] = {}  # client to its completion in flight or last answered

    def submit(self, position: int, prompt: list[int], answer: int, slo: Slo) -> None:
        """Send a call to an engine."""
        raise NotImplementedError

    def abort(self, position: int, time: float) -> None:
        """The user has cancelled a call, which is not answered in full."""
        raise NotImplementedError

    @property
    def costs(self) -> StepCosts:
        """What steps cost, as the tasks know it."""
        raise NotImplementedError

    def sized(self, call: WorkloadCall) -> WorkloadCall:
        """The call with the lengths that the engines can take."""
        return call

    def prompt_ids(self, call: WorkloadCall, index: int) -> list[int]:
        """The prompt of the sized call at ``index`` of the workload."""
        return token_ids(call, index) if self.workload.shares_prefixes else [3] * call.prompt

    def arrive(self, index: int) -> None:
        """Play the event at ``index`` of the workload."""
        call = self.workload.calls[index]
        live = self._live.get(call.client)
        if call.follows and live is not None and not math.isnan(self.results[live].first):
            return
        if (call.supersedes or call.follows) and live is not None:
            self._cancel(live, call.time)
        if not call.prompt:
            return
        call = self.sized(call)
        position = len(self.results)
        slo = self.workload.slo(call, self.start + call.time)
        if slo.service is ServiceClass.E2E:
            estimate = CallEstimate(call.prompt, TYPICAL[call.kind])
            slo = replace(slo, task_work=CallTimes(self.costs).load(estimate))
        self.results.append(CallResult(slo, call.prompt))
        if call.kind is TaskKind.COMPLETION:
            self._live[call.client] = position
        self.submit(position, self.prompt_ids(call, index), call.answer, slo)

    def _cancel(self, position: int, time: float) -> None:
        del self._live[self.results[position].slo.client]
        result = self.results[position]
        if math.isnan(result.last):
            result.cancelled = time
            self.abort(position, time)
