"""The first import of vLLM, without a part of torch that the CPU engine never uses."""

from __future__ import annotations

import sys
from typing import Any

_INDUCTOR = "torch._inductor.lowering"


def import_vllm() -> None:
    """Import the package ``vllm`` without Inductor's lowerings, about an eighth of the CPU time of all its imports.

    vLLM imports them only to patch them, and leaves that out where they cannot be imported. For an engine that
    compiles nothing (``TORCHDYNAMO_DISABLE``); afterwards they can be imported as ever.
    """
    modules: dict[str, Any] = sys.modules
    if "vllm" in modules or _INDUCTOR in modules:
        return
    modules[_INDUCTOR] = None
    try:
        import vllm  # noqa: F401  # pyright: ignore[reportUnusedImport]
    finally:
        del modules[_INDUCTOR]
