"""How large the KV cache and the context of a model are on a CPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cato_lsp.config import EngineSettings
from cato_lsp.engine.launch import GIB, KV_TOKENS, Launch
from cato_lsp.engine.model_folder import ModelFolder, inspect_model_folder

CODER = ModelFolder(
    Path("coder"), "qwen2", "Qwen2ForCausalLM", context_length=32_768, weights_bytes=3 * GIB, kv_bytes_per_token=28_672
)
"""Qwen2.5-Coder-1.5B: 28 layers, two KV heads of 128."""


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the machine's memory, in GiB."""

    def set_memory(gib: float) -> None:
        monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=int(gib * GIB)))

    set_memory(64)
    return set_memory


def launch(**settings: Any) -> Launch:
    return Launch(Path("coder"), EngineSettings(**settings))


def test_the_bundled_model_takes_no_more_than_it_can_use(model_folder: Path, memory: Any) -> None:
    memory(64)
    folder = inspect_model_folder(model_folder)
    assert launch().kv_cache_bytes(folder) == KV_TOKENS * folder.kv_bytes_per_token < 0.25 * GIB
    assert launch().context_length(folder) == folder.context_length


@pytest.mark.usefixtures("memory")
def test_a_larger_model_gets_more() -> None:
    assert launch().kv_cache_bytes(CODER) == KV_TOKENS * CODER.kv_bytes_per_token
    assert launch().context_length(CODER) == 32_768


def test_kv_cache_and_context_are_limited_by_the_machine(memory: Any) -> None:
    memory(8)
    assert launch().kv_cache_bytes(CODER) == GIB // 2
    assert launch().context_length(CODER) * CODER.kv_bytes_per_token < GIB // 2


def test_a_context_that_is_set_is_held(memory: Any) -> None:
    memory(8)
    asked = launch(max_model_len=30_000)
    assert asked.context_length(CODER) == 30_000
    assert asked.kv_cache_bytes(CODER) > 30_000 * CODER.kv_bytes_per_token


@pytest.mark.usefixtures("memory")
def test_a_size_that_is_set_is_taken() -> None:
    assert launch(kv_cache_gb=0.25).kv_cache_bytes(CODER) == GIB // 4


def test_a_model_of_unknown_size_gets_a_share_of_the_memory(memory: Any) -> None:
    memory(32)
    silent = replace(CODER, kv_bytes_per_token=0)
    assert launch().kv_cache_bytes(silent) == 2 * GIB
    assert launch().context_length(silent) == 32_768


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ({"num_key_value_heads": 2, "head_dim": 64}, 6 * 2 * 2 * 64 * 2),
        ({}, 6 * 2 * 4 * 64 * 2),
        ({"dtype": "float32"}, 6 * 2 * 4 * 64 * 4),
        ({"kv_lora_rank": 512, "qk_rope_head_dim": 64}, 6 * 576 * 2),
        ({"num_hidden_layers": None}, 0),
    ],
)
def test_the_size_of_a_token_follows_from_the_configuration(
    tmp_path: Path, model_folder: Path, config: dict[str, Any], size: int
) -> None:
    for file in ("tokenizer.json", "model.safetensors"):
        (tmp_path / file).symlink_to(model_folder / file)
    layers = {"num_hidden_layers": 6, "num_attention_heads": 4, "hidden_size": 256}
    (tmp_path / "config.json").write_text(json.dumps({**layers, **config}), encoding="utf-8")
    assert inspect_model_folder(tmp_path).kv_bytes_per_token == size


def test_no_child_process_inspects_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm import ModelRegistry
    from vllm.model_executor.models import registry

    from cato_lsp.engine.vllm_core import import_model

    def refuse(*_arguments: object) -> None:
        raise AssertionError("another process")

    monkeypatch.setattr(registry, "_run_in_subprocess", refuse)
    import_model("Qwen3ForCausalLM")
    assert ModelRegistry.models["Qwen3ForCausalLM"].inspect_model_cls().is_text_generation_model
