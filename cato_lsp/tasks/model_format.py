"""The tokenizer and prompt format of a local model folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cato_lsp.tasks.families import PLAIN
from cato_lsp.tasks.family_detection import FimUnsupportedError, recognise_family
from cato_lsp.tasks.fim_family import FimFamily
from cato_lsp.tasks.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class ModelFormat:
    """A model's tokenizer and prompt format."""

    tokenizer: Tokenizer
    family: FimFamily
    eos_token_ids: tuple[int, ...]
    """Tokens that end a text, from ``generation_config.json`` and ``config.json``."""
    context_tokens: int | None
    """Longest sequence of the model, ``None`` if ``config.json`` does not say."""
    note: str = ""
    """A message for the user: why completion works without fill-in-the-middle. Usually empty."""
    recognised: str = ""
    """The family and what it was recognised by; empty for a model that cannot fill in the middle."""


def read_model_format(folder: Path) -> ModelFormat:
    """Read a Hugging Face model folder. A model without FIM tokens gets plain continuation, and a note.

    :raises cato_lsp.tasks.tokenizer.TokenizerError: if ``tokenizer.json`` is missing or broken.
    """
    tokenizer = Tokenizer.from_folder(folder)
    config = _read_json(folder / "config.json")
    generation = _read_json(folder / "generation_config.json")
    note = recognised = ""
    try:
        name = f"{_name(folder)} {config.get('_name_or_path', '')}".rstrip()
        model_type = str(config.get("model_type", ""))
        recognition = recognise_family(tokenizer.vocabulary, model_type=model_type, name=name)
        family, recognised = recognition.family, str(recognition)
    except FimUnsupportedError as error:
        family = PLAIN
        note = f"{error}. Completions continue the text before the cursor, whatever follows it."
    context = config.get("max_position_embeddings")
    return ModelFormat(
        tokenizer=tokenizer,
        family=family,
        eos_token_ids=tuple(sorted(_eos(config) | _eos(generation))),
        context_tokens=context if isinstance(context, int) else None,
        note=note,
        recognised=recognised,
    )


def _name(folder: Path) -> str:
    """The name of a model folder. In a Hugging Face cache that of the repository, as snapshots are named by a hash."""
    return folder.parents[1].name if folder.parent.name == "snapshots" else folder.name


def _read_json(path: Path) -> dict[str, Any]:
    """The JSON object of a file; empty if it cannot be read (the engine reports broken files in detail)."""
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _eos(config: dict[str, Any]) -> set[int]:
    value: object = config.get("eos_token_id")
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    return {number for number in values if isinstance(number, int)}
