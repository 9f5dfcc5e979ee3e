"""Where the editors and our server are, for tests that drive them."""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

ROOT = Path(__file__).parents[2]
EDITORS = ROOT / ".editors"
VSIX = ROOT / "editors" / "vscode" / "dist" / "cato.vsix"
PATIENCE = 200.0
"""Seconds after which something that has not happened fails a test; no test measures time by it."""

LINE_STARTS = (
    "    if ",
    "    return ",
    "    return first",
    "    for ",
    "    return sum(",
    "    self.",
    "    while ",
)
"""What is typed until the model offers something; which of them it answers depends on the model."""

ARITHMETIC = '''"""Arithmetic, one function each."""


def add(first, second):
    """Add two numbers."""
    return first + second


def subtract(first, second):
    """Subtract the second number from the first."""
'''
"""What is typed on in measurements and pictures."""

T = TypeVar("T")
_runtime = tempfile.TemporaryDirectory(prefix="cato-e2e-")
"""For the sockets of the servers: their paths must be short, and no developer's own server may be among them."""


def need(*paths: Path) -> None:
    """Skip where an editor is not installed."""
    missing = [str(path.relative_to(ROOT)) for path in paths if path.is_relative_to(ROOT) and not path.exists()]
    missing += [str(path) for path in paths if not path.is_relative_to(ROOT) and not path.exists()]
    if missing:
        pytest.skip(f"{missing[0]} is not there: scripts/editors installs the editors")


def server_script(folder: Path) -> Path:
    """An executable ``cato-lsp`` of this checkout, on the interpreter that runs the tests."""
    script = folder / "cato-lsp"
    script.write_text(
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(str(ROOT))} OMP_NUM_THREADS=1 "
        f'exec {shlex.quote(sys.executable)} -P -m cato_lsp "$@"\n'
    )
    script.chmod(0o755)
    return script


def code_blocks(document: str, language: str, containing: str, checkout: Path) -> list[str]:
    """The code blocks of a document that contain a text, as a person writes them down whose checkout is there."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [block.replace("/path/to/cato-lsp", str(checkout)) for block in found if containing in block]


def clean_environment(home: Path) -> dict[str, str]:
    """The environment of a new user with a home of their own.

    Their ``cato.toml`` shows every suggestion, however unlikely: tests do not depend on the model's confidence.
    """
    settings = home / ".config" / "cato-lsp" / "cato.toml"
    if not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("[completion]\nmin_probability = 0.0\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "VIRTUAL_ENV"))}
    return {
        **environment,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_RUNTIME_DIR": _runtime.name,
    }


def shared_servers() -> list[psutil.Process]:
    """The servers that windows of these tests share."""
    return [process for process in psutil.process_iter() if _is_shared_server(process)]


def end_shared_servers() -> None:
    """End them. No window may be open that would start another one."""

    def ended() -> bool:
        for server in shared_servers():
            with suppress(psutil.Error):
                server.terminate()
        return not shared_servers()

    eventually("no shared server runs", ended)


def _is_shared_server(process: psutil.Process) -> bool:
    try:
        return "--listener" in process.cmdline() and process.environ().get("XDG_RUNTIME_DIR") == _runtime.name
    except psutil.Error:
        return False


def eventually(what: str, attempt: Callable[[], T | None], pause: float = 0.1) -> T:
    """The first true value that `attempt` gives."""
    value = within(PATIENCE, attempt, pause)
    assert value, f"it did not come about that {what}; last seen: {value!r}"
    return value


def within(seconds: float, attempt: Callable[[], T | None], pause: float = 0.1) -> T | None:
    """The first true value that `attempt` gives, or the last other one."""
    deadline = time.monotonic() + seconds
    while not (value := attempt()) and time.monotonic() < deadline:
        time.sleep(pause)
    return value
