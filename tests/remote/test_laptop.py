"""The laptop's side needs nothing that only servers or Unix have."""

from __future__ import annotations

import subprocess
import sys

_BLOCK = """
import sys
ABSENT = {absent!r}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"{{name}} is absent here", name=name)
sys.meta_path.insert(0, Absent())
for name in [each for each in sys.modules if each.partition(".")[0] in ABSENT]:
    del sys.modules[name]
"""
ABSENT = {
    # Of servers.
    "vllm", "torch", "transformers", "numpy", "uvicorn", "starlette", "prometheus_client", "ray", "uvloop",
    # Of Unix; psutil has parts of its own for each system, so what those import is not named here.
    "fcntl", "grp", "pty", "syslog",
}  # fmt: skip


def test_a_laptop_imports_nothing_of_servers_or_unix() -> None:
    code = _BLOCK.format(absent=ABSENT) + (
        "import psutil, socket, os\n"
        "for name in ('AF_UNIX', 'socketpair'): socket.__dict__.pop(name, None)\n"
        "for name in ('fork', 'forkpty', 'mkfifo'): os.__dict__.pop(name, None)\n"
        "import cato_lsp.remote.engine, cato_lsp.remote.cli, cato_lsp.lsp.server, cato_lsp.cli\n"
        "from cato_lsp.lsp.backend import Backend\n"
        "from cato_lsp.remote.engine import RemoteLaunch\n"
        "RemoteLaunch('wss://example.org:8765').connect(print)\n"
        "print('imported')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "imported", result.stderr
