"""Helix in a terminal, which knows no inline completion but has code actions."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.editors import EDITORS, clean_environment, code_blocks, eventually, need, server_script
from tests.e2e.wire import Wire, recorded

HELIX = EDITORS / "helix" / "hx"
SOURCE = "def add(first, second):\n    return first + second\n"
ROWS, COLUMNS = 30, 100


class Helix:
    """One Helix in a terminal of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {**clean_environment(folder), "TERM": "xterm-256color"}
        self.written = ""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execve(HELIX, [str(HELIX), *arguments], environment)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def press(self, keys: str) -> None:
        """Press keys, and forget what was written before."""
        self.read()
        self.written = ""
        os.write(self._terminal, keys.encode())

    def read(self) -> None:
        """Take what it has written, without which it would stand still."""
        while select.select([self._terminal], [], [], 0)[0]:
            output = os.read(self._terminal, 1 << 16)
            self.written += re.sub(r"\x1b\[[0-9;:?]*[a-zA-Z]", "", output.decode(errors="replace"))

    def wrote(self, text: str) -> bool:
        """Whether it has written a text since the last key."""
        self.read()
        return text in self.written

    def close(self) -> None:
        """End it."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)


@pytest.fixture
def helix(tmp_path: Path, checkout: Path) -> Iterator[Helix]:
    """Helix as docs/editors.md sets it up, with a file open and what it says to the server recorded."""
    need(HELIX)
    (languages,) = code_blocks("docs/editors.md", "toml", "language-server", checkout)
    server = f"{checkout}/.venv/bin/cato-lsp"
    assert server in languages
    config = tmp_path / ".config" / "helix" / "languages.toml"
    config.parent.mkdir(parents=True)
    config.write_text(languages.replace(server, str(recorded(server_script(tmp_path), tmp_path))))
    (tmp_path / "cato.toml").write_text('model = "bundled"\n[engine]\nthreads = 1\nkv_cache_gb = 0.25\n')
    (tmp_path / "sums.py").write_text(SOURCE)
    helix = Helix(tmp_path, "sums.py")
    yield helix
    helix.close()


def test_a_code_action_changes_nothing_but_the_docstring(helix: Helix, tmp_path: Path) -> None:
    wire = Wire(tmp_path / "wire")
    eventually("the engine is ready", lambda: helix.read() or "Ready" in str(wire.told("cato/didChangeStatus")))
    helix.press(" a")
    eventually("the menu is open", lambda: helix.wrote("Cato: Document add"))
    helix.press("\r")
    (answer,) = eventually("the server has answered", lambda: helix.read() or wire.answers("codeAction/resolve"))
    helix.press(":write\r")
    eventually("the file is saved", lambda: helix.wrote("written"))
    saved = (tmp_path / "sums.py").read_text()
    assert re.sub(r'    """.*?"""\n', "", saved, flags=re.DOTALL) == SOURCE
    assert (saved != SOURCE) == ("edit" in answer)
