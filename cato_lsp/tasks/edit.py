"""A change to one document."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """Text that replaces the characters ``[start, end)`` of a snapshot."""

    start: int
    end: int
    text: str

    def apply(self, text: str) -> str:
        """The document after the edit."""
        return text[: self.start] + self.text + text[self.end :]
