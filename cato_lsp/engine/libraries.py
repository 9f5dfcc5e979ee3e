"""The system libraries that vLLM's CPU extension is linked to, loaded before vLLM is imported."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

NEEDED = ("libnuma.so.1", "libstdc++.so.6", "libgcc_s.so.1")
"""Names that the dynamic linker looks for; a minimal Debian or container image lacks the first."""


def library_folder() -> Path:
    """Where `cato-lsp setup` puts libraries that the system does not have: in this environment."""
    return Path(sys.prefix) / "lib" / "cato-lsp"


def load_libraries() -> list[str]:
    """Load what vLLM's extension needs, and return the names that are found neither in the system nor in our folder.

    A library that is loaded already satisfies the linker by its name, wherever its file is.
    """
    return [name for name in NEEDED if not (_load(name) or _load(str(library_folder() / name)))]


def _load(name: str) -> bool:
    try:
        ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True
