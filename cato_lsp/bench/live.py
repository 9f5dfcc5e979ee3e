"""Runs on a live engine, in real time: open loop, one engine per policy, all in one process."""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from typing import Any

from anyio.from_thread import start_blocking_portal

from cato_lsp.bench.player import Player
from cato_lsp.bench.policies import POLICIES, PolicySpec
from cato_lsp.bench.result import Run, TimelineStep
from cato_lsp.bench.workload import MAX_ANSWER, PRIORITY, Workload, WorkloadCall, token_ids
from cato_lsp.engine.telemetry import MachineMonitor, MachineSample, summarize_samples
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import Slo

CPU_BLOCK = 32
IDLE_SLEEP = 0.0005
SAMPLING_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How the engine under test is started."""

    model: str = ""
    """A model folder; empty: the bundled one."""
    load_format: str = "auto"
    length_scale: float = 1.0
    """Factor on prompt and answer lengths, for small models and machines."""
    max_tokens: int = 512
    max_slots: int = 64
    max_model_len: int = 4096
    warmup: float = 5.0
    """Seconds of the workload that are played first and not counted."""
    async_scheduling: bool = False
    dtype: str = "auto"


class LiveEngine:
    """One vLLM engine in this process under one policy."""

    def __init__(self, policy: PolicySpec, options: LiveOptions) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from vllm import EngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine

        self.options = options
        arguments: dict[str, Any] = {
            "model": options.model or str(resources.files("cato_lsp.models") / "default"),
            "skip_tokenizer_init": True,
            "load_format": options.load_format,
            "dtype": options.dtype,
            "max_model_len": options.max_model_len,
            "max_num_batched_tokens": options.max_tokens,
            "max_num_seqs": options.max_slots,
            "async_scheduling": options.async_scheduling,
            "scheduler_cls": policy.scheduler_cls(time.monotonic, async_scheduling=options.async_scheduling),
            "disable_log_stats": True,
            "enable_prefix_caching": True,
        }
        if current_platform.is_cpu():
            arguments |= {"enforce_eager": True, "block_size": CPU_BLOCK, "async_scheduling": False}
        llm: Any = LLMEngine.from_engine_args(EngineArgs(**{**arguments, **policy.engine_options}))
        self._llm = llm
        self._core = llm.engine_core.engine_core

    @property
    def busy(self) -> bool:
        """Whether a request is unfinished."""
        return self._llm.has_unfinished_requests()

    @property
    def scheduler(self) -> Any:
        """vLLM's scheduler."""
        return self._core.scheduler

    def add(self, name: str, ids: list[int], answer: int, slo: Slo) -> None:
        """Submit a call; its answer has exactly `answer` tokens."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        params = SamplingParams(
            temperature=0.0,
            max_tokens=answer,
            ignore_eos=True,
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
            extra_args={"cato": slo},
        )
        prompt = {"prompt_token_ids": ids}
        self._llm.add_request(name, prompt, params, arrival_time=slo.arrival, priority=PRIORITY[slo.kind])

    def abort(self, name: str) -> None:
        """Cancel a call."""
        self._llm.abort_request([name])

    def step(self) -> list[tuple[str, int, int, bool]]:
        """Run one step.

        Returns, for each call that got tokens: name, number of new tokens, cached prompt tokens, whether it ended.
        """
        return [
            (o.request_id, len(o.outputs[0].token_ids), o.num_cached_tokens or 0, o.finished) for o in self._llm.step()
        ]

    def forget(self) -> None:
        """Empty the prefix cache, so that workloads do not benefit from earlier ones."""
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("the prefix cache is still in use")

    def close(self) -> None:
        """Free the engine."""
        self._llm.engine_core.shutdown()
        del self._llm, self._core
        gc.collect()


class LivePlayer(Player):
    """Plays one workload on a live engine."""

    def __init__(self, engine: LiveEngine, policy: str, workload: Workload) -> None:
        super().__init__(workload)
        self.engine = engine
        self.policy = policy
        self.steps: list[TimelineStep] = []

    def play(self, progress: Callable[[float], None] | None = None) -> Run:
        """Play the workload to the end."""
        calls, engine = self.workload.calls, self.engine
        self.start = time.monotonic()
        position = 0
        busy = 0.0
        while position < len(calls) or engine.busy:
            now = time.monotonic() - self.start
            while position < len(calls) and calls[position].time <= now:
                self.arrive(position)
                position += 1
            if not engine.busy:
                time.sleep(IDLE_SLEEP)
                continue
            outputs = engine.step()
            end = time.monotonic() - self.start
            busy += end - now
            tokens: dict[int, int] = {}
            for name, count, cached, ended in outputs:
                tokens[int(name)] = self._take(int(name), count, cached, ended, end)
            self.steps.append(TimelineStep(now, end, tokens))
            if progress is not None and len(self.steps) % 32 == 0:
                progress(min(end, self.workload.duration))
        makespan = time.monotonic() - self.start
        for result in self.results:
            result.slo = replace(
                result.slo,
                arrival=result.slo.arrival - self.start,
                deadline=result.slo.deadline - self.start,
            )
        errors = getattr(engine.scheduler, "policy_errors", 0)
        return Run(self.policy, self.workload.duration, makespan, busy, self.results, self.steps, errors)

    def sized(self, call: WorkloadCall) -> WorkloadCall:
        """See `Player.sized`."""
        scale, limit = self.engine.options.length_scale, self.engine.options.max_model_len
        prompt = max(1, min(int(call.prompt * scale), limit * 3 // 4))
        answer = max(1, min(int(call.answer * scale), MAX_ANSWER[call.kind], limit - prompt - 1))
        return replace(call, prompt=prompt, answer=answer)

    def prompt_ids(self, call: WorkloadCall, index: int) -> list[int]:
        """See `Player.prompt_ids`."""
        return token_ids(call, index)

    @property
    def costs(self) -> StepCosts:
        """See `Player.costs`."""
        model = getattr(self.engine.scheduler, "cost_model", None)
        return StepCosts() if model is None else model.costs

    def submit(self, position: int, prompt: list[int], answer: int, slo: Slo) -> None:
        """See `Player.submit`."""
        self.engine.add(str(position), prompt, answer, slo)

    def abort(self, position: int, time: float) -> None:  # noqa: ARG002
        """See `Player.abort`."""
        self.engine.abort(str(position))

    def _take(self, position: int, count: int, cached: int, ended: bool, now: float) -> int:
        result = self.results[position]
        computed = count
        if math.isnan(result.first):
            result.first = now
            computed = result.prompt - cached
        result.computed += computed
        result.generated += count
        if ended:
            result.last = now
        return computed


def run_live(
    loads: Sequence[Workload],
    policies: Sequence[str],
    options: LiveOptions,
    progress: Callable[[str, float], None] | None = None,
) -> list[list[Run]]:
    """Play every load under every policy, with one engine per policy. Returns a list of runs for each load."""
    runs: list[list[Run]] = [[] for _ in loads]
    for name in policies:
        engine = LiveEngine(POLICIES[name], options)
        try:
            warm = loads[-1].part(options.warmup)
            if warm.calls:
                LivePlayer(engine, name, warm).play()
            for index, load in enumerate(loads):
                engine.forget()
                tell = None if progress is None else partial(progress, name)
                with watch_machine(engine) as samples:
                    run = LivePlayer(engine, name, load).play(tell)
                run.machine = summarize_samples(samples)
                runs[index].append(run)
        finally:
            engine.close()
    return runs


@contextmanager
def watch_machine(engine: LiveEngine) -> Generator[list[MachineSample]]:
    """Sample the machine while the context is active, on another thread, since the engine steps on this one."""
    samples: list[MachineSample] = []
    monitor = MachineMonitor(lambda: float(engine.scheduler.kv_cache_manager.usage), seconds=SAMPLING_SECONDS)
    with start_blocking_portal() as portal:
        watching = portal.start_task_soon(monitor.run, samples.append)
        try:
            yield samples
        finally:
            watching.cancel()


_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "HF_HUB_OFFLINE": "1",
}
