"""Runs a program that a model wrote: a process of its own, without network, with limits of time, memory and files."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile

CPU_SECONDS = 5
MEMORY = 1 << 30
PATIENCE = 120.0
"""Seconds by the clock; a loaded machine needs many for few of computing."""


class SandboxUnavailableError(RuntimeError):
    """This machine lets no process give up its network."""


def succeeds(program: str) -> bool:
    """Whether a Python program ends without an error.

    :raises SandboxUnavailableError: if it cannot be run without network (Linux with user namespaces is needed).
    """
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], check=False, capture_output=True).returncode:
        raise SandboxUnavailableError("`unshare -rn` does not work here: programs of a model are not run with network")
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [unshare, "-rn", sys.executable, "-I", "-"],
                input=program.encode(),
                cwd=folder,
                env={},
                capture_output=True,
                timeout=PATIENCE,
                check=False,
                preexec_fn=_limit,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
