"""Checks whether this machine and this Python environment can run the engine."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Literal

from cato_lsp.engine.gpu import GpuError, open_gpus
from cato_lsp.install.errors import SetupError

GB = 10**9
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 14)
DISK_NEEDED = {"cpu": 4 * GB, "gpu": 15 * GB}
"""Disk space in bytes for a first installation, including downloads."""
LEAST_GPU_MEMORY = 6 * GB
"""Minimum GPU memory in bytes. A smaller GPU is not used."""

Engine = Literal["cpu", "gpu"]


def check_machine() -> None:
    """Check operating system, processor, C library and Python version.

    Raises:
        SetupError: vLLM does not run on this machine.
    """
    system, machine = platform.system(), platform.machine()
    if (system, machine) not in {("Linux", "x86_64"), ("Linux", "aarch64")}:
        raise SetupError(
            f"vLLM runs on Linux (x86-64 or ARM64); this is {system} {machine}.\n"
            "On Windows use WSL 2, on a Mac a Linux container or virtual machine."
        )
    if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or ""):
        raise SetupError("Alpine and other systems with musl are not supported: vLLM needs the GNU C library.")
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        raise SetupError(f"vLLM needs Python 3.11 to 3.14; this is {platform.python_version()} ({sys.executable}).")


def check_environment() -> None:
    """Check that packages can be installed into this Python environment; add pip where it is missing.

    Raises:
        SetupError: the environment belongs to the system, or has no pip and cannot get it.
    """
    in_venv = sys.prefix != sys.base_prefix
    if not in_venv and Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists():
        raise SetupError(
            f"{sys.prefix} belongs to the system's package manager. Install cato-lsp in an environment of its own:\n"
            "    python3 -m venv ~/.cato-lsp && ~/.cato-lsp/bin/pip install cato-lsp && ~/.cato-lsp/bin/cato-lsp setup"
        )
    if importlib.util.find_spec("pip") is None:  # as in the environments that uv makes
        command = [sys.executable, "-m", "ensurepip"]
        if subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode:
            raise SetupError(
                f"{sys.prefix} has no pip. Install it (Debian and Ubuntu: sudo apt install python3-venv),\n"
                "or with uv: uv pip install pip. Then run `cato-lsp setup` again."
            )


def check_disk(engine: Engine) -> None:
    """Check that the environment's disk has room.

    Raises:
        SetupError: there is not enough space.
    """
    free, needed = shutil.disk_usage(sys.prefix).free, DISK_NEEDED[engine]
    if free < needed:
        raise SetupError(
            f"{free / GB:.1f} GB are free in {sys.prefix}; the installation takes {needed // GB} GB. Make room first."
        )


def find_gpu() -> str | None:
    """The name and memory of the GPU that vLLM would use; `None` if it can use none."""
    try:
        with open_gpus() as gpus:
            gpu = gpus.of_vllm()
            memory = gpu.memory()[1]
            return f"{gpu.name}, {memory / GB:.0f} GB" if memory >= LEAST_GPU_MEMORY else None
    except GpuError:
        return None
