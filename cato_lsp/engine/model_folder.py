"""A Hugging Face model folder on this disk, checked before an engine is started on it."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from cato_lsp.engine.api import EngineError

_COPY_AGAIN = "Copy the file again from the model's source, or choose another model."


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Facts of a model that are known without loading it."""

    path: Path
    model_type: str
    architecture: str
    context_length: int
    """``max_position_embeddings`` of the configuration, in tokens."""
    weights_bytes: int
    """0: the weights are elsewhere."""
    kv_bytes_per_token: int
    """Bytes of a token in the KV cache, at the model's own precision; 0 if the configuration does not say."""
    vocabulary: int = 0
    """Rows of the embedding: token ids are below it; 0: the configuration does not say."""


def inspect_model_folder(path: Path) -> ModelFolder:
    """Check the files that vLLM needs and return the model's facts.

    Raises:
        EngineError: a file is missing, truncated or not what its name says; the remedy names it.
    """
    if not path.is_dir():
        raise EngineError(
            f"There is no model folder at {path}.",
            "Set `model` to a folder with config.json, tokenizer.json and *.safetensors, or to `bundled`.",
        )
    folder = inspect_tokenizer_folder(path)
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise EngineError(
            f"{path} has no *.safetensors file.",
            "Copy the model's weights there, or choose another model.",
        )
    for file in weights:
        _check_safetensors(file)
    return replace(folder, weights_bytes=sum(file.stat().st_size for file in weights))


def inspect_tokenizer_folder(path: Path) -> ModelFolder:
    """Return what ``config.json`` says, of a folder that may have no weights.

    Raises:
        EngineError: ``config.json`` or ``tokenizer.json`` is missing or broken.
    """
    config = _read_json(path / "config.json")
    _check_whole(path / "tokenizer.json")
    architectures = cast("list[str]", config.get("architectures") or [""])
    return ModelFolder(
        path=path,
        model_type=str(config.get("model_type", "")),
        architecture=architectures[0],
        context_length=int(config.get("max_position_embeddings") or 2048),
        weights_bytes=0,
        kv_bytes_per_token=_kv_bytes_per_token(config),
        vocabulary=int(config.get("vocab_size") or 0),
    )


def _kv_bytes_per_token(config: dict[str, Any]) -> int:
    """Keys and values of all layers; with latent attention (MLA), the latent vector that replaces both."""
    layers, heads, hidden = (
        int(config.get(key) or 0) for key in ("num_hidden_layers", "num_attention_heads", "hidden_size")
    )
    if not layers or not heads:
        return 0
    element = 4 if config.get("dtype", config.get("torch_dtype")) == "float32" else 2
    if latent := config.get("kv_lora_rank"):
        return layers * (int(latent) + int(config.get("qk_rope_head_dim") or 0)) * element
    head = int(config.get("head_dim") or hidden // heads)
    return 2 * layers * int(config.get("num_key_value_heads") or heads) * head * element


def _check_whole(file: Path) -> None:
    """Look at the ends of a JSON object: enough to notice a cut-off download.

    A tokenizer of several megabytes takes 100 ms to parse, in which no other thread can run. Whatever else is wrong in
    it is found when it is loaded.
    """
    try:
        with file.open("rb") as stream:
            begins = stream.read(64).lstrip()[:1]
            stream.seek(max(0, file.stat().st_size - 64))
            ends = stream.read(64).rstrip()[-1:]
    except FileNotFoundError:
        raise EngineError(f"{file} is missing.", _COPY_AGAIN) from None
    except OSError as error:
        raise EngineError(f"{file} cannot be read: {error}.", _COPY_AGAIN) from error
    if (begins, ends) != (b"{", b"}"):
        raise EngineError(f"{file} does not hold a whole JSON object.", _COPY_AGAIN)


def _read_json(file: Path) -> dict[str, Any]:
    remedy = _COPY_AGAIN
    try:
        value: object = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EngineError(f"{file} is missing.", remedy) from None
    except (OSError, ValueError) as error:
        raise EngineError(f"{file} cannot be read: {error}.", remedy) from error
    if not isinstance(value, dict):
        raise EngineError(f"{file} does not hold a JSON object.", remedy)
    return cast("dict[str, Any]", value)


def _check_safetensors(file: Path) -> None:
    """Compare the header's last data offset with the file size, to detect an incomplete download.

    Format: 8 bytes of little-endian header length, a JSON header, then the tensors' bytes.
    """
    remedy = f"{file.name} is incomplete or damaged; copy it again from the model's source."
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > size:
                raise EngineError(f"{file} is not a safetensors file.", remedy)
            header = cast("dict[str, Any]", json.loads(stream.read(length)))
        end = max((int(item["data_offsets"][1]) for name, item in header.items() if name != "__metadata__"))
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{file} is not a safetensors file: {error}.", remedy) from error
    if 8 + length + end != size:
        raise EngineError(f"{file} has {size} bytes; its header promises {8 + length + end}.", remedy)
