"""Runs pip in this environment. Its output goes to a log; the current line is shown."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cato_lsp.install.errors import SetupError

_SHOWN = re.compile(r"^\s*(Collecting|Downloading|Using cached|Installing|Building|Requirement already)\b")


class Pip:
    """pip of this environment.

    Args:
        show: Called with each line that reports progress.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self.log = Path(sys.prefix) / "cato-setup.log"
        self._show = show

    def run(self, *arguments: str) -> bool:
        """Run one command of pip; return whether it succeeded."""
        command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color"]
        with (
            self.log.open("a", encoding="utf-8") as log,
            subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            ) as process,
        ):
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    log.write(line)
                    if _SHOWN.match(line):
                        self._show(line.strip())
            except BaseException:
                process.terminate()
                raise
        return process.returncode == 0

    def install(self, *arguments: str) -> bool:
        """Run ``pip install``; return whether it succeeded."""
        return self.run("install", "--progress-bar", "off", *arguments)

    def install_or_stop(self, *arguments: str) -> None:
        """Run ``pip install``.

        Raises:
            SetupError: it failed; the message has pip's last error.
        """
        if not self.install(*arguments):
            lines = self.log.read_text(encoding="utf-8").splitlines()
            errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["ERROR: no output"]
            raise SetupError(
                f"pip failed: {errors[-1].removeprefix('ERROR:').strip()}\n"
                f"The log is {self.log}. Run the command again to continue."
            )
