"""Loads vLLM's compiled extension as the engine does, and says why it cannot be. Run it as a module."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

from cato_lsp.engine.launch import is_cpu_build
from cato_lsp.engine.libraries import missing_libraries


def load_extension() -> str:
    """Import torch and load the extension for this processor or GPU; return what is wrong, empty when nothing is.

    vLLM only logs why its extension could not be loaded, and fails later for want of an operator.
    """
    missing = missing_libraries() if is_cpu_build() else []
    if missing:
        return f"{' and '.join(missing)} cannot be found"
    import torch
    import vllm
    from vllm.platforms import current_platform

    platform: Any = current_platform
    platform.import_kernels()
    operators: Any = torch.ops._C
    if hasattr(operators, "init_cpu_memory_env" if is_cpu_build() else "rms_norm"):
        return ""
    for file in sorted(Path(str(vllm.__file__)).parent.glob("_C*.so")):
        try:
            ctypes.CDLL(str(file))
        except OSError as error:
            return str(error)
    return "its operators are missing, although its files can be loaded: is vLLM the build for this machine?"


if __name__ == "__main__":
    sys.stdout.write(load_extension())
