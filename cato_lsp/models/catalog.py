"""Which model a setting means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cato_lsp.engine.api import EngineError
from cato_lsp.models.local import BUNDLED, LocalModel, cache_folder, cached_folders, local_models
from cato_lsp.models.machine import MB, Machine, this_machine


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model folder, and why it was chosen."""

    path: Path
    name: str
    why: str


def resolve_model(setting: str, base: Path = Path()) -> ModelChoice:
    """The folder that ``model = setting`` means: ``auto``, ``bundled``, a folder, or a Hugging Face name.

    A folder that is not absolute is looked for below ``base``.

    Raises:
        EngineError: nothing of that name is on this disk; the remedy says how to get it.
    """
    if setting == "bundled":
        return ModelChoice(BUNDLED, "bundled", "bundled with the package")
    if setting == "auto":
        return best_model(local_models(), this_machine())
    folder = base / Path(setting).expanduser()
    if folder.is_dir():
        return ModelChoice(folder, folder.name, "as set")
    cached = dict(cached_folders(cache_folder()))
    if setting in cached:
        return ModelChoice(cached[setting], setting, "as set, from the Hugging Face cache")
    raise EngineError(
        f"There is no model folder at {folder}, nor a model of that name in the Hugging Face cache.",
        f"`cato-lsp models` lists what is here; `cato-lsp models pull {setting}` downloads it.",
    )


def best_model(models: Iterable[LocalModel], machine: Machine) -> ModelChoice:
    """The largest model that fits; of equals the first. A larger code model is the better one, as a rule.

    Raises:
        EngineError: no model is there, not even the bundled one.
    """
    found = list(models)
    if not found:
        raise EngineError("The package has no model.", "Install cato-lsp again, or set `model` to a folder.")
    fitting = [model for model in found if model.weights_bytes <= machine.room] or [found[0]]
    best = max(fitting, key=lambda model: model.weights_bytes)
    why = f"the largest of {len(found)} local code models whose weights fit in {machine.room // MB} MB on {machine}"
    return ModelChoice(best.path, best.name, why if len(found) > 1 else "the only code model on this disk")
