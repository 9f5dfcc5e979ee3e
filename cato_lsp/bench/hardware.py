"""Hardware profiles: how long a step takes on a machine, for the virtual clock."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HardwareProfile:
    """One model on one machine. The duration of a step is linear in its tokens, requests and context."""

    name: str
    source: str
    """`estimate`, or the command and date of the measurement."""
    step_seconds: float
    seconds_per_token: float
    seconds_per_sequence: float
    seconds_per_context_token: float
    kv_tokens: int
    max_slots: int
    max_tokens: int
    max_model_len: int

    def toml(self) -> str:
        """The profile in the form that `load_profile` reads."""
        fields = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields)

    def step(self, tokens: int, sequences: int, context: int) -> float:
        """Duration (s) of a step of `tokens` tokens of `sequences` requests with `context` tokens of context in all."""
        return (
            self.step_seconds
            + self.seconds_per_token * tokens
            + self.seconds_per_sequence * sequences
            + self.seconds_per_context_token * context
        )


def load_profile(name: str) -> HardwareProfile:
    """A profile that ships with cato-lsp, by name, or one in a TOML file, by path.

    Raises:
        ValueError: no such profile, or a field is missing or unknown.
    """
    shipped = resources.files("cato_lsp.bench") / "profiles" / f"{name}.toml"
    text = shipped.read_text() if shipped.is_file() else None
    if text is None and Path(name).is_file():
        text = Path(name).read_text()
    if text is None:
        raise ValueError(f"no hardware profile {name!r}; shipped: {', '.join(shipped_profiles())}")
    try:
        return HardwareProfile(**tomllib.loads(text))
    except TypeError as error:
        raise ValueError(f"hardware profile {name!r}: {error}") from error


def shipped_profiles() -> list[str]:
    """Names of the profiles that ship with cato-lsp."""
    folder = resources.files("cato_lsp.bench") / "profiles"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))
