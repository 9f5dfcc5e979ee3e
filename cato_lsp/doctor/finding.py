"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARN = "warn"
    """It works, but not as well as it could."""
    FAIL = "fail"
    """It does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    topic: str
    level: Level
    detail: str
    remedy: str = ""
    """What to do; empty if no action is needed."""


def ok(topic: str, detail: str) -> Finding:
    """A finding without a problem."""
    return Finding(topic, Level.OK, detail)


def warn(topic: str, detail: str, remedy: str) -> Finding:
    """A finding that reduces speed or comfort."""
    return Finding(topic, Level.WARN, detail, remedy)


def fail(topic: str, detail: str, remedy: str) -> Finding:
    """A finding that prevents cato-lsp from working."""
    return Finding(topic, Level.FAIL, detail, remedy)
