"""Provides the system libraries that vLLM's CPU extension needs, without root if the distribution allows it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cato_lsp.engine.libraries import NEEDED, load, missing_libraries
from cato_lsp.install.errors import SetupError

LIMIT = 120.0
"""Time limit for one command of the package manager, in seconds."""
START_FILE = "cato_lsp_libraries.pth"
"""A file of site-packages that Python runs when it starts.

So each process of this environment has the libraries, also those that import vLLM without this package: vLLM's own
child processes, its API server, a test or a script.
"""


class _Manager(NamedTuple):
    program: str
    command: str
    packages: dict[str, str]
    """The package of each library."""


_MANAGERS = (
    _Manager(
        "apt-get",
        "sudo apt-get install",
        {"libnuma.so.1": "libnuma1", "libstdc++.so.6": "libstdc++6", "libgcc_s.so.1": "libgcc-s1"},
    ),
    _Manager(
        "dnf",
        "sudo dnf install",
        {"libnuma.so.1": "numactl-libs", "libstdc++.so.6": "libstdc++", "libgcc_s.so.1": "libgcc"},
    ),
    _Manager(
        "pacman",
        "sudo pacman -S",
        {"libnuma.so.1": "numactl", "libstdc++.so.6": "gcc-libs", "libgcc_s.so.1": "gcc-libs"},
    ),
    _Manager(
        "zypper",
        "sudo zypper install",
        {"libnuma.so.1": "libnuma1", "libstdc++.so.6": "libstdc++6", "libgcc_s.so.1": "libgcc_s1"},
    ),
)


def how_to_install(missing: Iterable[str]) -> str:
    """The command that installs the missing libraries on this distribution."""
    for manager in _MANAGERS:
        if shutil.which(manager.program):
            packages = dict.fromkeys(manager.packages[name] for name in missing)
            return f"{manager.command} {' '.join(packages)}"
    return "your package manager (the library is libnuma, of the numactl project)"


def library_folder() -> Path:
    """Where libraries are put that the system does not have: in this environment."""
    return Path(sys.prefix) / "lib" / "cato-lsp"


def provide_libraries() -> list[str]:
    """Make sure that vLLM's extension finds its libraries; return those that were fetched into this environment.

    Raises:
        SetupError: a library is missing and cannot be installed without root; the message has the command to run.
    """
    missing = missing_libraries()
    if not missing:
        return []
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        for name in missing:
            _fetch_debian(name)
    if not all(load(str(library_folder() / name)) for name in missing):
        raise SetupError(
            f"vLLM needs {' and '.join(missing)}, which this system lacks. Install with:\n    {how_to_install(missing)}"
        )
    _load_at_start()
    return missing


def _load_at_start() -> None:
    """Have each Python process of this environment load the fetched libraries when it starts."""
    files = [str(library_folder() / name) for name in NEEDED if (library_folder() / name).exists()]
    lines = [f"import ctypes, os; os.path.exists({f!r}) and ctypes.CDLL({f!r}, ctypes.RTLD_GLOBAL)\n" for f in files]
    (Path(sysconfig.get_path("purelib")) / START_FILE).write_text("".join(lines), encoding="utf-8")


def _fetch_debian(name: str) -> None:
    """Download a library's package with apt and unpack the library. On any failure it stays missing."""
    package = _MANAGERS[0].packages[name]
    with tempfile.TemporaryDirectory(prefix="cato-setup-") as folder:
        work = Path(folder)
        # Try the system's package lists first. A container image often has none, and only root can write them.
        lists = work / "lists"
        (lists / "partial").mkdir(parents=True)
        own_lists = [f"-oDir::State::lists={lists}", f"-oDir::Cache={work}"]
        if not _run(["apt-get", "download", package], work):
            _run(["apt-get", *own_lists, "update"], work)
            _run(["apt-get", *own_lists, "download", package], work)
        for archive in work.glob("*.deb"):
            _run(["dpkg-deb", "-x", archive.name, "unpacked"], work)
        found = next((file for file in (work / "unpacked").rglob(name) if file.is_file()), None)
        if found is not None:
            library_folder().mkdir(parents=True, exist_ok=True)
            shutil.copy(found, library_folder() / name)


def _run(command: list[str], folder: Path) -> bool:
    try:
        result = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0
