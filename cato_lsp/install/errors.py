"""Why the engine cannot be installed."""

from __future__ import annotations


class SetupError(RuntimeError):
    """The setup cannot continue; the message says why and what to do, in at most three lines."""
