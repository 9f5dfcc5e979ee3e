"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    """It works, but not as well as it could."""
    FAIL = "fail"
    """The product cannot do its job here."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    topic: str
    level: Level
    detail: str
    remedy: str = ""
    """What to do about it; empty when nothing is to be done."""


def ok(topic: str, detail: str) -> Finding:
    """A finding that needs nothing."""
    return Finding(topic, Level.OK, detail)


def warn(topic: str, detail: str, remedy: str) -> Finding:
    """A finding that costs speed or comfort."""
    return Finding(topic, Level.WARN, detail, remedy)


def fail(topic: str, detail: str, remedy: str) -> Finding:
    """A finding that keeps the product from working."""
    return Finding(topic, Level.FAIL, detail, remedy)
