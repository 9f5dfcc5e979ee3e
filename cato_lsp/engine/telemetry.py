"""How busy the machine is: the GPU by NVML where vLLM runs on one, else the CPU by psutil; and vLLM's KV cache.

NVML takes up to some milliseconds, so samples are taken on a worker thread and never on the engine's.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import psutil

from cato_lsp.engine.launch import vllm_distribution


@dataclass(frozen=True, slots=True)
class MachineSample:
    """One look at the device that the model runs on."""

    device: str
    """The GPU's name, or `CPU`."""
    utilization: float
    """Of a GPU: the part of NVML's last period (up to a second) in which a kernel ran. Of the CPU: the part of all
    cores that was busy since the sample before, whoever kept them busy. 0 to 1."""
    memory_used_bytes: int
    """Of the GPU's memory, or of the machine's; by all processes."""
    memory_total_bytes: int
    kv_cache_usage: float
    """The part of vLLM's KV blocks in use, 0 to 1."""
    power_watts: float | None = None
    """What a GPU draws; `None` where no sensor tells."""


class MachineMonitor:
    """Samples the device every `seconds`; `latest` is there to be read at any time, from any thread."""

    def __init__(self, kv_cache_usage: Callable[[], float], *, seconds: float = 2.0) -> None:
        self.latest: MachineSample | None = None
        """`None` until the first sample is taken."""
        self._kv_cache_usage = kv_cache_usage
        self._seconds = seconds
        self._cpu = _CpuClock()

    async def run(self, on_sample: Callable[[MachineSample], None] = lambda _sample: None) -> None:
        """Sample until cancelled."""
        with contextlib.ExitStack() as opened:
            gpu = await anyio.to_thread.run_sync(_open_gpu)
            if gpu is not None:
                opened.callback(gpu.close)
            while True:
                self.latest = await anyio.to_thread.run_sync(self._sample, gpu)
                on_sample(self.latest)
                await anyio.sleep(self._seconds)

    def _sample(self, gpu: _Gpu | None) -> MachineSample:
        kv_cache_usage = self._kv_cache_usage()
        sample = gpu.sample(kv_cache_usage) if gpu is not None else None
        if sample is not None:
            return sample
        memory: Any = psutil.virtual_memory()
        return MachineSample(
            device="CPU",
            utilization=self._cpu.utilization(),
            memory_used_bytes=int(memory.total - memory.available),
            memory_total_bytes=int(memory.total),
            kv_cache_usage=kv_cache_usage,
        )


def summarize_samples(samples: Sequence[MachineSample]) -> dict[str, Any] | None:
    """Means over some samples and, of memory and the KV cache, the most; `None` of none."""
    if not samples:
        return None
    watts = [s.power_watts for s in samples if s.power_watts is not None]
    return {
        "device": samples[-1].device,
        "samples": len(samples),
        "utilization": sum(s.utilization for s in samples) / len(samples),
        "memory_used_bytes": max(s.memory_used_bytes for s in samples),
        "memory_total_bytes": samples[-1].memory_total_bytes,
        "kv_cache_usage": max(s.kv_cache_usage for s in samples),
        "power_watts": sum(watts) / len(watts) if watts else None,
    }


class _CpuClock:
    """Busy part of all cores between two looks. (`psutil.cpu_percent` keeps its last look per thread.)"""

    def __init__(self) -> None:
        self._cores = psutil.cpu_count() or 1
        self._idle, self._time = self._look()

    def _look(self) -> tuple[float, float]:
        times: Any = psutil.cpu_times()
        return times.idle + getattr(times, "iowait", 0.0), time.monotonic()

    def utilization(self) -> float:
        idle, now = self._look()
        elapsed = max(1e-9, now - self._time)
        busy = 1.0 - (idle - self._idle) / (self._cores * elapsed)
        self._idle, self._time = idle, now
        return min(1.0, max(0.0, busy))


class _Gpu:
    """The GPU that vLLM uses, by NVML."""

    def __init__(self, nvml: Any, device: Any) -> None:
        self._nvml = nvml
        self._device = device
        self._name = str(nvml.nvmlDeviceGetName(device))

    def sample(self, kv_cache_usage: float) -> MachineSample | None:
        nvml, device = self._nvml, self._device
        watts: float | None = None
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(device)
            utilization = nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
            with contextlib.suppress(nvml.NVMLError):
                watts = nvml.nvmlDeviceGetPowerUsage(device) / 1000
        except nvml.NVMLError:
            return None
        return MachineSample(self._name, utilization, int(memory.used), int(memory.total), kv_cache_usage, watts)

    def close(self) -> None:
        self._nvml.nvmlShutdown()


def _open_gpu() -> _Gpu | None:
    vllm = vllm_distribution()
    if vllm is None or vllm[0] != "vllm":
        return None
    import pynvml

    nvml: Any = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    try:
        # NVML counts all GPUs; CUDA only those that it may see, and vLLM takes the first of them.
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
        if first.startswith(("GPU-", "MIG-")):
            return _Gpu(nvml, nvml.nvmlDeviceGetHandleByUUID(first))
        return _Gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(int(first) if first.isdigit() else 0))
    except nvml.NVMLError:
        nvml.nvmlShutdown()
        return None
