"""The simulator ("twin"): one virtual engine that serves a workload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.player import Player
from cato_lsp.bench.policies import PolicySpec
from cato_lsp.bench.result import Run, TimelineStep
from cato_lsp.bench.virtual_engine import VirtualEngine
from cato_lsp.bench.workload import Workload
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import Slo


class Twin(Player):
    """One engine under one policy, played once."""

    def __init__(self, workload: Workload, policy: PolicySpec, profile: HardwareProfile) -> None:
        super().__init__(workload)
        self.policy = policy
        self.steps: list[TimelineStep] = []
        self._engine = VirtualEngine(workload.shares_prefixes, policy, profile, self._executed)
        self.core = self._engine.core

    def play(self, progress: Callable[[float], None] | None = None) -> Run:
        """Play the workload to the end. `progress` is called from time to time with the virtual time."""
        calls = self.workload.calls
        engine, clock = self._engine, self._engine.clock
        position = 0
        while position < len(calls) or engine.busy:
            while position < len(calls) and calls[position].time <= clock.now:
                self.arrive(position)
                position += 1
            if not engine.busy:
                if position < len(calls):
                    clock.now = max(clock.now, calls[position].time)
                continue
            self._take(engine.step())
            if progress is not None and len(self.steps) % 256 == 0:
                progress(min(clock.now, self.workload.duration))
        engine.stop()
        return Run(
            policy=self.policy.name,
            duration=self.workload.duration,
            makespan=clock.now,
            busy=sum(step.end - step.start for step in self.steps),
            results=self.results,
            steps=self.steps,
            policy_errors=engine.policy_errors,
        )

    @property
    def costs(self) -> StepCosts:
        """See `Player.costs`."""
        return self._engine.costs

    def submit(self, position: int, prompt: list[int], answer: int, slo: Slo) -> None:
        """See `Player.submit`."""
        self._engine.add(str(position), prompt, answer, slo)

    def abort(self, position: int, time: float) -> None:
        """See `Player.abort`."""
        if self.steps and self.steps[-1].end > time:
            self.results[position].wasted = self.steps[-1].tokens.get(position, 0)
        self._engine.abort(str(position))

    def _take(self, outputs: list[Any]) -> None:
        results, now = self.results, self._engine.clock.now
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
