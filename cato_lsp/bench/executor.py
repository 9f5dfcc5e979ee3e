"""A vLLM executor that computes nothing: it advances a virtual clock and invents tokens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.executor.abstract import Executor
from vllm.v1.kv_cache_interface import FullAttentionSpec
from vllm.v1.outputs import ModelRunnerOutput

from cato_lsp.bench.hardware import HardwareProfile

STOP_TOKEN = 2
"""The token that ends an answer."""
FILLER_TOKEN = 7
"""Every other token of an answer."""

_EMPTY = ModelRunnerOutput(req_ids=[], req_id_to_index={})


class VirtualClock:
    """Seconds since the start of a run; call it to read it."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


OnStep = Callable[[float, float, dict[str, int]], None]
"""Called after each step: its start and end (s), and the tokens computed per request."""


class VirtualExecutor(Executor):
    """Base of the classes that `make_executor_cls` makes (vLLM wants a class and makes the instance itself)."""

    hardware: HardwareProfile
    virtual_clock: VirtualClock
    answer_lengths: dict[str, int]
    on_step: OnStep

    def _init_executor(self) -> None:
        self._length: dict[str, int] = {}  # prompt and answer so far, per request
        self._last: dict[str, int] = {}  # and in the end

    def get_kv_cache_specs(self) -> list[dict[str, Any]]:
        """One layer represents all."""
        spec = FullAttentionSpec(
            block_size=self.cache_config.block_size,
            num_kv_heads=1,
            head_size=8,
            dtype=self.model_config.dtype,
        )
        return [{"layer": spec}]

    def determine_available_memory(self) -> list[int]:
        """Bytes of a KV cache for the profile's `kv_tokens`."""
        page = self.get_kv_cache_specs()[0]["layer"].page_size_bytes
        return [self.hardware.kv_tokens // self.cache_config.block_size * page]

    def get_supported_kv_cache_layouts(self) -> list[list[str]]:
        """Layouts make no difference here."""
        return [["NHD"]]

    def initialize_from_config(self, kv_cache_configs: Any) -> None:
        """Nothing to allocate."""

    def compile_or_warm_up_model(self) -> None:
        """Nothing to compile."""

    def collective_rpc(self, *_args: Any, **_kwargs: Any) -> Any:
        """No worker answers."""
        return [None]

    def check_health(self) -> None:
        """Always healthy."""

    def execute_model(self, scheduler_output: SchedulerOutput, non_block: bool = False) -> Any:
        """Advance the clock by the step's duration, and invent the tokens that it samples."""
        output = self._run(scheduler_output) if scheduler_output.total_num_scheduled_tokens else _EMPTY
        for request_id in scheduler_output.finished_req_ids:
            self._length.pop(request_id, None)
            self._last.pop(request_id, None)
        if not non_block:
            return output
        future: Future[ModelRunnerOutput] = Future()
        future.set_result(output)
        return future

    def _run(self, scheduled: SchedulerOutput) -> ModelRunnerOutput:
        tokens = scheduled.num_scheduled_tokens
        length, last = self._length, self._last
        cached = scheduled.scheduled_cached_reqs
        ids = list(cached.req_ids)
        computed = list(cached.num_computed_tokens)
        for new in scheduled.scheduled_new_reqs:
            assert new.prompt_token_ids is not None
            if new.req_id not in length:
                length[new.req_id] = len(new.prompt_token_ids)
                last[new.req_id] = len(new.prompt_token_ids) + self.answer_lengths[new.req_id]
            ids.append(new.req_id)
            computed.append(new.num_computed_tokens)

        sampled: list[list[int]] = []
        context = 0
        for request_id, done in zip(ids, computed, strict=True):
            end = done + tokens[request_id]
            context += end
            if end < length[request_id]:
                sampled.append([])
                continue
            length[request_id] = now = length[request_id] + 1
            sampled.append([STOP_TOKEN if now >= last[request_id] else FILLER_TOKEN])

        clock = self.virtual_clock
        start = clock.now
        clock.now += self.hardware.step(scheduled.total_num_scheduled_tokens, len(ids), context)
        self.on_step(start, clock.now, tokens)
        index = {request_id: place for place, request_id in enumerate(ids)}
        return ModelRunnerOutput(req_ids=ids, req_id_to_index=index, sampled_token_ids=sampled)


def make_executor_cls(
    profile: HardwareProfile,
    clock: VirtualClock,
    answer_lengths: dict[str, int],
    on_step: OnStep,
) -> type[VirtualExecutor]:
    """A class for `EngineArgs(distributed_executor_backend=...)`.

    `answer_lengths` maps a request's id to the tokens of its answer; it may grow during the run.
    """
    body = {
        "hardware": profile,
        "virtual_clock": clock,
        "answer_lengths": answer_lengths,
        "on_step": staticmethod(on_step),
    }
    return type("VirtualExecutor", (VirtualExecutor,), body)
