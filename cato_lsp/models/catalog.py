"""Which model a setting means."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

BUNDLED = Path(__file__).parent / "default"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model folder, and why it was chosen."""

    path: Path
    why: str


def resolve_model(setting: str) -> ModelChoice:
    """The folder that ``model = setting`` means."""
    if setting in ("auto", "bundled"):
        return ModelChoice(Path(os.environ.get("CATO_TMP_MODEL", BUNDLED)), "bundled with the package")
    return ModelChoice(Path(setting).expanduser(), "as set")
