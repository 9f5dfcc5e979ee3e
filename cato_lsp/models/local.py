"""The code models that lie on this disk: in the package and in the Hugging Face cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cato_lsp.engine.api import EngineError
from cato_lsp.engine.model_folder import inspect_model_folder
from cato_lsp.tasks.families import FAMILIES

BUNDLED = Path(__file__).parent / "default"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model folder that vLLM can load and that can fill in code."""

    name: str
    """``bundled``, a Hugging Face name such as ``Qwen/Qwen2.5-Coder-1.5B``, or the folder's path."""
    path: Path
    weights_bytes: int


def local_models(cache: Path | None = None, folders: Iterable[Path] = ()) -> Iterator[LocalModel]:
    """The bundled model, those of the Hugging Face cache, then the model folders inside ``folders``.

    Those that are incomplete, or whose vocabulary knows no fill-in-the-middle, are passed over.
    """
    inside = (
        (str(config.parent), config.parent) for folder in folders for config in sorted(folder.glob("**/config.json"))
    )
    for name, path in (("bundled", BUNDLED), *cached_folders(cache or cache_folder()), *inside):
        model = local_model(name, path)
        if model is not None:
            yield model


def local_model(name: str, path: Path) -> LocalModel | None:
    """The model in ``path``, ``None`` if files are missing or broken or it cannot fill in code."""
    try:
        folder = inspect_model_folder(path)
        fills_in = _fills_in(path / "tokenizer.json", (path / "tokenizer.json").stat().st_mtime_ns)
    except (EngineError, OSError):
        return None
    return LocalModel(name, path, folder.weights_bytes) if fills_in else None


def cache_folder() -> Path:
    """Where Hugging Face libraries keep downloaded models."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def cached_folders(cache: Path) -> Iterator[tuple[str, Path]]:
    """Name and newest snapshot of every model in a Hugging Face cache.

    The layout is documented ("Understand caching", Hugging Face Hub): ``models--ORG--NAME/snapshots/REVISION``.
    """
    for repository in sorted(cache.glob("models--*")):
        snapshots = [path for path in repository.glob("snapshots/*") if path.is_dir()]
        if snapshots:
            name = repository.name.removeprefix("models--").replace("--", "/")
            yield name, max(snapshots, key=lambda path: path.stat().st_mtime)


@lru_cache(maxsize=256)
def _fills_in(tokenizer: Path, modified: int) -> bool:
    """Whether a ``tokenizer.json`` spells the control tokens of a known family.

    A search, since parsing takes long. Its result is kept until the file is modified: settings change often.
    """
    del modified
    content = tokenizer.read_bytes()
    return any(all(f'"{token}"'.encode() in content for token in family.required) for family in FAMILIES)
