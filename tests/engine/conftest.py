"""A real vLLM engine on a model small enough for a test: two layers, made-up weights, token ids in and out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_hidden_layers": 2,
    "vocab_size": 512,
    "max_position_embeddings": 1024,
    "torch_dtype": "float32",
    "tie_word_embeddings": False,
}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the configuration of a two-layer Qwen2; weights are made up at load, the same ones every time."""
    folder = tmp_path_factory.mktemp("tiny-qwen2")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture
def start_engine(tiny_model: Path) -> Callable[..., Any]:
    """Starts an in-process vLLM engine; keyword arguments go to `EngineArgs`."""
    return partial(start_tiny_engine, tiny_model)


def start_tiny_engine(model: Path, **options: Any) -> Any:
    """Start an in-process vLLM engine on the tiny model; keyword arguments go to `EngineArgs`."""
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    defaults: dict[str, Any] = {
        "model": str(model),
        "skip_tokenizer_init": True,
        "load_format": "dummy",
        "dtype": "float32",
        "enforce_eager": True,
        "max_model_len": 1024,
        "max_num_batched_tokens": 128,
        "max_num_seqs": 8,
        "num_gpu_blocks_override": 80,
        "block_size": 32,
        "async_scheduling": False,
    }
    return LLMEngine.from_engine_args(EngineArgs(**{**defaults, **options}))
