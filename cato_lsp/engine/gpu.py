"""The NVIDIA GPUs of this machine, read with NVML, the driver's library."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from cato_lsp.engine.launch import vllm_distribution


class GpuError(RuntimeError):
    """There is no driver, no such GPU, or it does not answer; the message says which."""


class Gpu:
    """One GPU. Each property may take some milliseconds to read, and may raise `GpuError`."""

    def __init__(self, nvml: Any, device: Any) -> None:
        self._nvml = nvml
        self._device = device
        with _gpu_errors(nvml):
            self.name = str(nvml.nvmlDeviceGetName(device))

    def memory(self) -> tuple[int, int]:
        """Bytes used by all processes, and bytes in total."""
        with _gpu_errors(self._nvml):
            memory = self._nvml.nvmlDeviceGetMemoryInfo(self._device)
        return int(memory.used), int(memory.total)

    def utilization(self) -> float:
        """Share of NVML's last sampling period (up to a second) in which a kernel ran, 0 to 1."""
        with _gpu_errors(self._nvml):
            return self._nvml.nvmlDeviceGetUtilizationRates(self._device).gpu / 100

    def power_watts(self) -> float | None:
        """Power draw; `None` without a sensor."""
        with contextlib.suppress(self._nvml.NVMLError):
            return self._nvml.nvmlDeviceGetPowerUsage(self._device) / 1000
        return None


class Gpus:
    """All GPUs, while `open_gpus` keeps NVML open."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml

    @property
    def driver(self) -> str:
        """Version of the driver."""
        with _gpu_errors(self._nvml):
            return str(self._nvml.nvmlSystemGetDriverVersion())

    def __iter__(self) -> Generator[Gpu]:
        with _gpu_errors(self._nvml):
            for index in range(self._nvml.nvmlDeviceGetCount()):
                yield Gpu(self._nvml, self._nvml.nvmlDeviceGetHandleByIndex(index))

    def of_vllm(self) -> Gpu:
        """The GPU that vLLM uses: the first one that is visible to CUDA (NVML lists all)."""
        nvml = self._nvml
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
        with _gpu_errors(nvml):
            if first.startswith(("GPU-", "MIG-")):
                return Gpu(nvml, nvml.nvmlDeviceGetHandleByUUID(first))
            return Gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(int(first) if first.isdigit() else 0))


def vllm_wants_gpu() -> bool:
    """Whether the installed vLLM is the build for NVIDIA GPUs."""
    return (vllm_distribution() or ("", ""))[0] == "vllm"


@contextmanager
def open_gpus() -> Generator[Gpus]:
    """Open NVML. Raises `GpuError` where there is none."""
    import pynvml

    nvml: Any = pynvml
    with _gpu_errors(nvml):
        nvml.nvmlInit()
    try:
        yield Gpus(nvml)
    finally:
        nvml.nvmlShutdown()


@contextmanager
def _gpu_errors(nvml: Any) -> Generator[None]:
    try:
        yield
    except nvml.NVMLError as error:
        raise GpuError(str(error)) from error
