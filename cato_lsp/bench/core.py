"""vLLM's engine core for runs in virtual time, and a step of it without the parts that only real workers need."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from cato_lsp.bench.executor import VirtualClock
from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.policies import PolicySpec

BLOCK_SIZE = 32

_MODEL = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "num_hidden_layers": 1,
    "vocab_size": 512,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
}


def start_core(
    shares_prefixes: bool, policy: PolicySpec, profile: HardwareProfile, executor_cls: type, clock: VirtualClock
) -> Any:
    """Make vLLM's engine core with a policy and a simulated machine."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from vllm import EngineArgs
    from vllm.v1.engine.core import EngineCore

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(_MODEL))
        options: dict[str, Any] = {
            "model": folder,
            "skip_tokenizer_init": True,
            "distributed_executor_backend": executor_cls,
            "scheduler_cls": policy.scheduler_cls(clock),
            "async_scheduling": False,
            "max_model_len": profile.max_model_len,
            "max_num_batched_tokens": profile.max_tokens,
            "max_num_seqs": profile.max_slots,
            "enable_prefix_caching": shares_prefixes,
            "block_size": BLOCK_SIZE,
            "enforce_eager": True,
            **policy.engine_options,
        }
        config = EngineArgs(**options).create_engine_config()
        core = EngineCore(config, executor_cls, log_stats=False)
    if not shares_prefixes:
        skip_idle_allocations(core.scheduler)
    return core


def step(core: Any) -> tuple[list[Any], bool]:
    """Schedule and execute one step. Returns the outputs of requests, and whether anything was computed.

    This is `EngineCore.step` without futures, grammars, statistics and the queue of aborts.
    """
    scheduler = core.scheduler
    scheduled = scheduler.schedule()
    outputs = scheduler.update_from_output(scheduled, core.model_executor.execute_model(scheduled))
    return [each for batch in outputs.values() for each in batch.outputs], scheduled.total_num_scheduled_tokens > 0


def skip_idle_allocations(scheduler: Any) -> None:
    """Ask vLLM for KV blocks only where a request needs one.

    vLLM asks for each decoding request in each step, which was a third of the twin's time, though only one token in
    `BLOCK_SIZE` begins a block; where the blocks at hand suffice, all that it does comes to nothing. This holds without
    prefix caching, which files blocks as they fill, and for full attention, which drops none.
    """
    manager = scheduler.kv_cache_manager
    (group,) = manager.coordinator.single_type_managers
    blocks_of, size, nothing = group.req_to_blocks, group.block_size, manager.empty_kv_cache_blocks
    allocate = manager.allocate_slots

    def allocate_slots(request: Any, num_new_tokens: int, **how: Any) -> Any:
        held = blocks_of.get(request.request_id)
        if held and request.num_computed_tokens + num_new_tokens <= len(held) * size:
            return nothing
        return allocate(request, num_new_tokens, **how)

    manager.allocate_slots = allocate_slots
