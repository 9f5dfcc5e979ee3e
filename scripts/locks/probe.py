"""Serve one tiny random model per family in process and say which distributions were imported.

Prints one JSON object: ``{"imported": [distribution, ...], "answers": {scenario: [token id, ...]}}``. What is
served covers what the product asks of vLLM on a CPU: a Hugging Face folder with a fast tokenizer, safetensors
(Qwen2) or dummy weights, prefix caching, chunked prefill, several calls at once, an abort, async scheduling asked
for and not, and n-gram speculative decoding.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}

VOCABULARY = 512
LAYERS = 2
HIDDEN = 128
INNER = 256
HEADS = 4
KV_HEADS = 2

COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": HIDDEN // HEADS,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "bos_token_id": 0,
    "eos_token_id": 0,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"},
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
    "starcoder2": {
        "architectures": ["Starcoder2ForCausalLM"],
        "model_type": "starcoder2",
        "hidden_act": "gelu_pytorch_tanh",
        "norm_epsilon": 1e-5,
        "use_bias": True,
    },
    "gemma": {
        "architectures": ["GemmaForCausalLM"],
        "model_type": "gemma",
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
    },
    "mistral": {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": None},
    "granite": {
        "architectures": ["GraniteForCausalLM"],
        "model_type": "granite",
        "embedding_multiplier": 1.0,
        "logits_scaling": 1.0,
        "residual_multiplier": 1.0,
        "attention_multiplier": 0.25,
    },
}
"""The text architectures that the prompt builder knows; DeepSeek-Coder and CodeLlama are Llama."""

NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4}
SCENARIOS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("qwen2", {}),
    "async scheduling": ("qwen2", {"async_scheduling": True}),
    "n-gram speculation": ("qwen2", {"speculative_config": NGRAM}),
    **{family: (family, {"load_format": "dummy"}) for family in FAMILIES if family != "qwen2"},
}


def make_model(folder: Path, family: str) -> None:
    """Write a Hugging Face folder with a tokenizer, and with weights for Qwen2."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    (folder / "config.json").write_text(json.dumps(COMMON | FAMILIES[family]), encoding="utf-8")
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer: Any = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(Path(__file__).read_text(encoding="utf-8").splitlines(), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    if family == "qwen2":
        write_qwen2_weights(folder / "model.safetensors")


def write_qwen2_weights(file: Path) -> None:
    import torch
    from safetensors.torch import save_file

    head = HIDDEN // HEADS
    shapes = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for layer in (f"model.layers.{number}" for number in range(LAYERS)):
        for name, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            shapes[f"{layer}.self_attn.{name}_proj.weight"] = (heads * head, HIDDEN)
            shapes[f"{layer}.self_attn.{name}_proj.bias"] = (heads * head,)
        shapes |= {
            f"{layer}.self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            f"{layer}.mlp.gate_proj.weight": (INNER, HIDDEN),
            f"{layer}.mlp.up_proj.weight": (INNER, HIDDEN),
            f"{layer}.mlp.down_proj.weight": (HIDDEN, INNER),
            f"{layer}.input_layernorm.weight": (HIDDEN,),
            f"{layer}.post_attention_layernorm.weight": (HIDDEN,),
        }
    torch.manual_seed(0)
    weights = {name: torch.randn(shape).mul(0.1).to(torch.bfloat16) for name, shape in shapes.items()}
    save_file(weights, str(file), metadata={"format": "pt"})


def serve(folder: Path, **options: Any) -> list[int]:
    """Run three calls, abort one, and return the tokens of the first."""
    from vllm import EngineArgs, SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.llm_engine import LLMEngine

    arguments: dict[str, Any] = {
        "model": str(folder),
        "dtype": "float32",
        "max_model_len": 1024,
        "max_num_seqs": 8,
        "max_num_batched_tokens": 128,
        "enable_prefix_caching": True,
        "enforce_eager": True,
        "seed": 0,
    }
    engine: Any = LLMEngine.from_engine_args(EngineArgs(**(arguments | options)))
    prompt = [1 + number % 7 for number in range(300)]
    for name in ("first", "same", "aborted"):
        params = SamplingParams(
            max_tokens=12,
            temperature=0.0,
            output_kind=RequestOutputKind.DELTA,
            ignore_eos=True,
            extra_args={"cato": name},
        )
        engine.add_request(name, {"prompt_token_ids": prompt}, params)
    tokens: list[int] = []
    while engine.has_unfinished_requests():
        for output in engine.step():
            if output.request_id == "first":
                tokens += output.outputs[0].token_ids
        if len(tokens) >= 4:
            engine.abort_request(["aborted"])
    engine.engine_core.engine_core.shutdown()
    return tokens


def imported_distributions() -> list[str]:
    owners = importlib.metadata.packages_distributions()
    tops = {name.partition(".")[0] for name in sys.modules}
    return sorted({owner for top in tops for owner in owners.get(top, [])})


def run(scenario: str) -> dict[str, Any]:
    """Serve one scenario in this process: vLLM starts its CPU engine once per process, whatever was imported."""
    with tempfile.TemporaryDirectory(prefix="cato-probe-") as name:
        folder = Path(name)
        family, options = SCENARIOS[scenario]
        make_model(folder, family)
        tokens = serve(folder, **options)
    return {"imported": imported_distributions(), "tokens": tokens}


def main() -> None:
    if len(sys.argv) == 2:
        json.dump(run(sys.argv[1]), sys.stdout)
        return
    imported: set[str] = set()
    answers: dict[str, list[int]] = {}
    for scenario in SCENARIOS:
        command = [sys.executable, __file__, scenario]
        result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        imported |= set(result["imported"])
        answers[scenario] = result["tokens"]
    json.dump({"imported": sorted(imported), "answers": answers}, sys.stdout)


if __name__ == "__main__":
    main()
