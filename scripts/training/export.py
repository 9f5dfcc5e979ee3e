"""Write a trained model as a Hugging Face folder that vLLM and transformers load, and read it back."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from training.model import CausalLM, ModelShape
from training.tokenizer import save_tokenizer

_PLACES = {
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "o_proj": "self_attn.o_proj",
    "gate_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "down_proj": "mlp.down_proj",
}


def export_model(model: CausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write ``model.safetensors`` (bfloat16), the configurations and the tokenizer into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(hugging_face_weights(model), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    end = tokenizer.token_to_id("<|endoftext|>")
    _write(folder / "config.json", hugging_face_config(model.shape, end))
    _write(folder / "generation_config.json", {"eos_token_id": end, "pad_token_id": end, "do_sample": False})
    save_tokenizer(tokenizer, folder, model.shape.max_position_embeddings)


def hugging_face_weights(model: CausalLM) -> dict[str, Tensor]:
    """The weights in bfloat16 under the names of ``LlamaForCausalLM``; the output embedding is tied."""
    weights: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        weights[_hugging_face_name(name)] = value.detach().to("cpu", torch.bfloat16).contiguous()
    return weights


def read_weights(model: CausalLM, folder: Path) -> None:
    """Give ``model`` the weights of ``folder``, which :func:`export_model` wrote.

    Raises ``KeyError`` or ``RuntimeError`` if the folder holds a model of another shape.
    """
    stored = load_file(folder / "model.safetensors")
    model.load_state_dict({name: stored[_hugging_face_name(name)].float() for name in model.state_dict()})


def save_snapshot(model: CausalLM, step: int, folder: Path) -> None:
    """Keep the weights of ``step`` in ``folder`` for :func:`read_average`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(hugging_face_weights(model), folder / f"{step:08}.safetensors")


def read_average(model: CausalLM, folder: Path, count: int) -> None:
    """Give ``model`` the mean of the last ``count`` snapshots in ``folder`` (Izmailov et al., 2018)."""
    stored = [load_file(path) for path in sorted(folder.glob("*.safetensors"))[-count:]]
    names = {name: _hugging_face_name(name) for name in model.state_dict()}
    model.load_state_dict(
        {name: torch.stack([weights[other].float() for weights in stored]).mean(0) for name, other in names.items()}
    )


def hugging_face_config(shape: ModelShape, end: int) -> dict[str, object]:
    """The ``config.json`` of a Llama of this shape."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **asdict(shape),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "dtype": "bfloat16",
        "torch_dtype": "bfloat16",
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": end,
    }


def _hugging_face_name(name: str) -> str:
    return f"model.{'.'.join(_PLACES.get(part, part) for part in name.split('.'))}.weight"


def _write(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
