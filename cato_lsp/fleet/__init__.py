"""A fleet: several engines behind one gateway, and the router that chooses an engine for each call."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """``app``, for `serve run cato_lsp.fleet:app`; only then is Ray imported."""
    if name == "app":
        return importlib.import_module("cato_lsp.fleet.application").app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
