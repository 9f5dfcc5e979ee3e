"""How busy the machine is: GPU figures from NVML where there is a GPU, the process's own from psutil else.

Sampling takes up to some milliseconds, so it belongs on a worker thread and never on the engine's
(`sample_every` does that).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import psutil


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the machine. What it has no sensor for is None."""

    time: float
    """Seconds, monotonic."""
    cpu_utilization: float
    """Of all cores, 0 to 1, since the sample before."""
    memory_bytes: int
    """Resident memory of this process."""
    kv_cache_usage: float
    """The part of vLLM's KV blocks in use, 0 to 1."""
    gpu_utilization: float | None = None
    """The part of the last sampling period in which a kernel ran, 0 to 1."""
    gpu_memory_bytes: int | None = None
    gpu_power_watts: float | None = None


class MachineSampler:
    """Reads the sensors of this machine; `close` it, or use it as a context manager."""

    def __init__(self, kv_cache_usage: Callable[[], float] = lambda: 0.0, *, gpu: int = 0) -> None:
        self._kv_cache_usage = kv_cache_usage
        self._process = psutil.Process()
        self._nvml, self._device = _open_gpu(gpu)
        psutil.cpu_percent()  # the first call only starts the measurement

    def __enter__(self) -> MachineSampler:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def has_gpu(self) -> bool:
        """Whether NVML answers for a GPU."""
        return self._nvml is not None

    def sample(self) -> Sample:
        """Read all sensors."""
        utilization = memory = power = None
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                utilization = self._nvml.nvmlDeviceGetUtilizationRates(self._device).gpu / 100
                memory = int(self._nvml.nvmlDeviceGetMemoryInfo(self._device).used)
                power = self._nvml.nvmlDeviceGetPowerUsage(self._device) / 1000
        return Sample(
            time=time.monotonic(),
            cpu_utilization=psutil.cpu_percent() / 100,
            memory_bytes=self._process.memory_info().rss,
            kv_cache_usage=self._kv_cache_usage(),
            gpu_utilization=utilization,
            gpu_memory_bytes=memory,
            gpu_power_watts=power,
        )

    def close(self) -> None:
        """Let go of NVML."""
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None


async def sample_every(seconds: float, sampler: MachineSampler) -> AsyncIterator[Sample]:
    """Samples, `seconds` apart, each taken on a worker thread; ends when the caller stops asking."""
    while True:
        yield await anyio.to_thread.run_sync(sampler.sample)
        await anyio.sleep(seconds)


def _open_gpu(index: int) -> tuple[Any, Any]:
    try:
        import pynvml  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        return None, None
    nvml: Any = pynvml
    try:
        nvml.nvmlInit()
        return nvml, nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError:
        return None, None
