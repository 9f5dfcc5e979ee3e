"""How large a model this machine can serve without making anyone wait."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from cato_lsp.engine.gpu import GpuError, open_gpus, vllm_wants_gpu

MB = 1_000_000
CPU_SHARE_OF_MEMORY = 0.25
CPU_BYTES_PER_CORE = 350 * MB
"""Weights are read once for every token: a core reads this much in about 35 ms, which a person at the keyboard
still finds quick."""
GPU_SHARE_OF_MEMORY = 0.6
"""The rest of a GPU's memory is for the KV cache and activations."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What weights may take up."""

    memory_bytes: int
    cores: int
    gpu_bytes: int | None = None
    """Memory of the GPU that vLLM uses; ``None`` without one."""

    @property
    def room(self) -> int:
        """The most bytes of weights that fit."""
        if self.gpu_bytes is not None:
            return int(self.gpu_bytes * GPU_SHARE_OF_MEMORY)
        return min(int(self.memory_bytes * CPU_SHARE_OF_MEMORY), self.cores * CPU_BYTES_PER_CORE)

    def __str__(self) -> str:
        if self.gpu_bytes is not None:
            return f"a GPU with {self.gpu_bytes / 1e9:.0f} GB"
        return f"{self.cores} CPU cores with {self.memory_bytes / 1e9:.0f} GB"


def this_machine() -> Machine:
    """The machine that this process runs on."""
    return Machine(
        memory_bytes=psutil.virtual_memory().total,
        cores=psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        gpu_bytes=_gpu_bytes(),
    )


def _gpu_bytes() -> int | None:
    if not vllm_wants_gpu():
        return None
    try:
        with open_gpus() as gpus:
            return gpus.of_vllm().memory()[1]
    except GpuError:
        return None
