"""The system libraries that vLLM's CPU extension is linked to."""

from __future__ import annotations

import ctypes

NEEDED = ("libgcc_s.so.1", "libstdc++.so.6", "libnuma.so.1")
"""Names that the dynamic linker looks for, each after those that it needs. A minimal Debian image lacks the last."""


def missing_libraries() -> list[str]:
    """The names of libraries that vLLM's extension needs and that cannot be loaded.

    A library that `cato-lsp setup` fetched is loaded when Python starts (`install/system_libraries.py`). It then
    satisfies the linker by its name.
    """
    return [name for name in NEEDED if not load(name)]


def load(library: str) -> bool:
    """Load a library by its name or path for all that is loaded later; return whether that worked."""
    try:
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True
