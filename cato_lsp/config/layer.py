"""The settings of one source, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings of one source, as it gave them."""

    source: str
    """Where a person finds it: a file path, ``initializationOptions``, ``--model``..."""
    values: object
    """A JSON or TOML object, perhaps wrapped in the section: ``{"cato": {...}}``. A null means "not set"."""
    trusted: bool = True
    """False: it comes with a repository, and can only narrow what trusted layers say."""


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """A setting that was left out, and why."""

    source: str
    key: str
    """Dotted and in snake_case, e.g. ``completion.max_lines``; empty when the whole source is at fault."""
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.message}"
