"""Samples the load of the machine: the GPU if vLLM runs on one, else the CPU by psutil; and vLLM's KV cache.

NVML may take some milliseconds, so samples are taken on a worker thread, never on the engine's.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import psutil

from cato_lsp.engine.gpu import Gpu, GpuError, open_gpus, vllm_wants_gpu


@dataclass(frozen=True, slots=True)
class MachineSample:
    """One sample of the device that the model runs on."""

    device: str
    """The GPU's name, or `CPU`."""
    utilization: float
    """For a GPU: share of NVML's last sampling period (up to a second) in which a kernel ran. For the CPU: share of
    all cores that was busy since the last sample, with any process. 0 to 1."""
    memory_used_bytes: int
    """Memory of the GPU, or of the machine, used by all processes."""
    memory_total_bytes: int
    kv_cache_usage: float
    """Share of vLLM's KV blocks in use, 0 to 1."""
    power_watts: float | None = None
    """Power draw of a GPU; `None` without a sensor."""


class MachineMonitor:
    """Samples the device every `seconds`; `latest` may be read at any time, from any thread.

    :param kv_cache_usage: returns the share of vLLM's KV blocks in use; called on the event loop.
    """

    def __init__(self, kv_cache_usage: Callable[[], float], *, seconds: float = 2.0) -> None:
        self.latest: MachineSample | None = None
        """`None` until the first sample is taken."""
        self._kv_cache_usage = kv_cache_usage
        self._seconds = seconds
        self._cpu = _CpuClock()

    async def run(self, on_sample: Callable[[MachineSample], None] = lambda _sample: None) -> None:
        """Sample until cancelled."""
        with contextlib.ExitStack() as opened:
            gpu = await anyio.to_thread.run_sync(_open_gpu, opened)
            while True:
                self.latest = await anyio.to_thread.run_sync(self._sample, gpu, self._kv_cache_usage())
                on_sample(self.latest)
                await anyio.sleep(self._seconds)

    def _sample(self, gpu: Gpu | None, kv_cache_usage: float) -> MachineSample:
        if gpu is not None:
            with contextlib.suppress(GpuError):  # sample the CPU instead
                return _gpu_sample(gpu, kv_cache_usage)
        memory: Any = psutil.virtual_memory()
        return MachineSample(
            device="CPU",
            utilization=self._cpu.utilization(),
            memory_used_bytes=int(memory.total - memory.available),
            memory_total_bytes=int(memory.total),
            kv_cache_usage=kv_cache_usage,
        )


def summarize_samples(samples: Sequence[MachineSample]) -> dict[str, Any] | None:
    """Means of some samples, and the maximum of memory and KV cache; `None` without samples."""
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
    """Busy share of all cores between two samples. (`psutil.cpu_percent` keeps its last sample per thread.)"""

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


def _gpu_sample(gpu: Gpu, kv_cache_usage: float) -> MachineSample:
    used, total = gpu.memory()
    return MachineSample(gpu.name, gpu.utilization(), used, total, kv_cache_usage, gpu.power_watts())


def _open_gpu(opened: contextlib.ExitStack) -> Gpu | None:
    """The GPU that vLLM runs on; `opened` keeps NVML open for it."""
    if not vllm_wants_gpu():
        return None
    try:
        return opened.enter_context(open_gpus()).of_vllm()
    except GpuError:
        return None
