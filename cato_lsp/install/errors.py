"""Why the engine cannot be installed."""

from __future__ import annotations


class SetupError(RuntimeError):
    """The set-up cannot go on; the message says why and what to do, in at most three lines."""
