"""Shortens messages for editors: the cause and what to do. Details go to the log."""

from __future__ import annotations

MOST_LINES = 2
LONGEST_LINE = 300
"""Characters."""


def brief(text: str) -> str:
    """At most two lines of a text, each of readable length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join(map(_cut, lines[:MOST_LINES]))


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}..."
