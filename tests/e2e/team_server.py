"""A team's server for the tests in editors: a process with TLS, a key, and the bundled model."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import trustme

from tests.e2e.editors import clean_environment, eventually, server_script

SETTINGS = """\
[completion]
min_probability = 0.0

[engine]
url = "{url}"
threads = 1
kv_cache_gb = 0.25
"""


class TeamServer:
    """A server that can be killed and started again.

    :param folder: for its home, keys and certificate.
    """

    def __init__(self, folder: Path) -> None:
        self._home = folder
        folder.mkdir(exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._script = server_script(folder)
        authority = trustme.CA()
        self._authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(self._authority)
        self._cert, self._tls_key = folder / "cert.pem", folder / "key.pem"
        certificate = authority.issue_cert("127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(self._cert)
        certificate.private_key_pem.write_to_path(self._tls_key)
        added = subprocess.run(
            [self._script, "keys", "add", "alice"], env=self._environment(), capture_output=True, text=True, check=True
        )
        self.key = added.stdout.strip()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (folder / "serve.log").open("wb")

    def laptop(self, home: Path) -> dict[str, str]:
        """Write the settings of a user of the server; return what the user has in the environment."""
        settings = home / ".config" / "cato-lsp" / "cato.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(SETTINGS.format(url=f"wss://127.0.0.1:{self.port}"))
        return {"CATO_KEY": self.key, "SSL_CERT_FILE": str(self._authority)}

    def start(self) -> None:
        """Start it if it does not run, and wait until it serves."""
        if self._process is None:
            command: list[str | Path] = [self._script, "serve", "--port", str(self.port), "--model", "bundled"]
            command += ["--tls-cert", self._cert, "--tls-key", self._tls_key]
            self._process = subprocess.Popen(
                command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
            )
        eventually("the server serves", lambda: self._ask("health") is not None)

    def kill(self) -> None:
        """Kill it, as when the box loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def overview(self) -> dict[str, Any]:
        """What `cato-lsp top` shows."""
        answer = self._ask("overview")
        assert answer is not None, "the server does not answer"
        return json.loads(answer)

    def _ask(self, path: str) -> bytes | None:
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}/{path}", headers={"Authorization": f"Bearer {self.key}"}
        )
        context = ssl.create_default_context(cafile=str(self._authority))
        try:
            with urllib.request.urlopen(request, timeout=20, context=context) as answer:
                return answer.read()
        except OSError:
            return None

    def _environment(self) -> dict[str, str]:
        return clean_environment(self._home)
