"""Checks of the machine: GPU, CPU, memory, disk."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from cato_lsp.doctor.finding import Finding, fail, ok, warn
from cato_lsp.engine.gpu import GpuError, open_gpus, vllm_wants_gpu
from cato_lsp.engine.launch import GIB

CPU_INFO = Path("/proc/cpuinfo")
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
LEAST_MEMORY = 2 * GIB
"""Memory in bytes for torch, vLLM, the bundled model and a small KV cache."""
LEAST_DISK = GIB
VECTOR_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def gpus() -> list[str] | str:
    """A description of each NVIDIA GPU, or the reason why none was found."""
    try:
        with open_gpus() as found:
            return [f"{gpu.name}, {gpu.memory()[1] / GIB:.0f} GiB, driver {found.driver}" for gpu in found]
    except GpuError as error:
        return str(error)


def check_gpu() -> Iterator[Finding]:
    """Whether there is a GPU, and whether the installed vLLM uses it."""
    wants_gpu = vllm_wants_gpu()
    found = gpus()
    if isinstance(found, str) or not found:
        reason = found or "no device"
        if wants_gpu:
            yield fail(
                "GPU",
                f"none ({reason}), but vLLM is the CUDA build",
                "Install the NVIDIA driver, or run `cato-lsp setup --engine cpu`.",
            )
        else:
            yield ok("GPU", f"none ({reason}); the model runs on the CPU")
        return
    for gpu in found:
        if wants_gpu:
            yield ok("GPU", gpu)
        else:
            yield warn("GPU", f"{gpu}: not used", "Run `cato-lsp setup --engine gpu` to use it.")


def cpu_flags() -> frozenset[str]:
    """The instruction sets of the first CPU, under Linux's names."""
    try:
        text = CPU_INFO.read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return frozenset(line.partition(":")[2].split())


def usable_cpus() -> int:
    """The CPUs that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def check_cpu() -> Iterator[Finding]:
    """Cores and vector instructions."""
    cores, flags = usable_cpus(), cpu_flags()
    interesting = [name for name in VECTOR_FLAGS if name in flags]
    detail = f"{cores} usable CPUs; {', '.join(interesting) or 'no known vector instructions'}"
    if platform.machine() == "x86_64" and flags and "avx2" not in flags:
        yield fail(
            "CPU",
            detail,
            "vLLM's CPU build needs AVX2: use a newer machine, or an NVIDIA GPU.",
        )
    elif cores < 2:
        yield warn("CPU", detail, "Give it two CPUs or more: the engine and the editor share one now.")
    elif platform.machine() == "x86_64" and "avx512f" not in flags:
        yield warn("CPU", detail, "Expect slow answers: vLLM's fast CPU kernels want AVX-512.")
    else:
        yield ok("CPU", detail)


def memory_limit() -> int:
    """Bytes of memory that this process may use: the machine's, or its container's."""
    total: int = psutil.virtual_memory().total
    try:
        return min(total, int(MEMORY_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no cgroup, or "max"
        return total


def check_memory() -> Iterator[Finding]:
    """Whether there is enough free memory for an engine."""
    total = memory_limit()
    available = min(total, int(psutil.virtual_memory().available))
    detail = f"{available / GIB:.1f} GiB free of {total / GIB:.1f} GiB"
    if total < LEAST_MEMORY:
        yield fail("memory", detail, f"The engine needs {LEAST_MEMORY // GIB} GiB even for the bundled model.")
    elif available < LEAST_MEMORY:
        yield warn("memory", detail, "Close something, or set a small `engine.kv_cache_gb`.")
    else:
        yield ok("memory", detail)


def check_disk() -> Iterator[Finding]:
    """Whether there is room for caches and temporary files."""
    try:
        folders = [Path.home(), Path(tempfile.gettempdir())]
    except RuntimeError:  # no HOME, and no such user
        folders = [Path(tempfile.gettempdir())]
    for folder in dict.fromkeys(folders):
        if not folder.exists():
            yield warn(
                "disk", f"{folder} does not exist", "Set HOME to a folder of yours, so that files can be cached."
            )
            continue
        free = shutil.disk_usage(folder).free
        detail = f"{free / GIB:.0f} GiB free in {folder}"
        if free < LEAST_DISK:
            yield warn("disk", detail, "Make room: models and compiled kernels are cached there.")
        else:
            yield ok("disk", detail)
