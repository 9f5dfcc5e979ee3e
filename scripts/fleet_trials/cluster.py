"""A Ray cluster of several nodes on this machine, with a fleet that `serve deploy` puts there."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from cato_lsp.engine.api import EngineError
from cato_lsp.gateway.keys import KeyFile
from cato_lsp.gateway.top import ask

BIN = Path(sys.executable).parent
LOOPBACK = "127.0.0.1"
STORE = "--object-store-memory=100000000"


def free_port() -> int:
    """A port that nothing listens at now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait(state: Callable[[], bool], seconds: float = 400.0) -> float:
    """Wait for a state; return the seconds it took.

    Raises:
        TimeoutError: it has not come.
    """
    start = time.monotonic()
    while not state():
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"It did not come to this in {seconds:g} s.")
        time.sleep(0.1)
    return time.monotonic() - start


class Cluster:
    """One head node, which runs the gateways, and nodes with one CPU for an engine each.

    :param folder: for Ray's files, keys and logs; its path must be short, as it holds Unix sockets.
    """

    def __init__(self, folder: Path, nodes: int) -> None:
        self._folder = folder
        self._nodes: list[psutil.Popen] = []
        self._count = nodes
        self._ray, self._dashboard, self.port = free_port(), free_port(), free_port()
        self.url = f"ws://{LOOPBACK}:{self.port}"
        token = folder / "token"
        token.write_text(secrets.token_hex(32))
        self._environment = os.environ | {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "OMP_NUM_THREADS": "1",
        }
        self._keys = KeyFile(folder / "keys.json")
        self.key = self._keys.add("alice")

    def start(self) -> None:
        """Start the nodes."""
        gateway = '--resources={"gateway": 1}'
        self._node(
            "--head",
            f"--port={self._ray}",
            "--num-cpus=0",
            gateway,
            "--include-dashboard=true",
            f"--dashboard-host={LOOPBACK}",
            f"--dashboard-port={self._dashboard}",
            f"--temp-dir={self._folder}/ray",
        )
        wait(lambda: self._listens(self._dashboard))
        for _ in range(self._count):
            self._node(f"--address={LOOPBACK}:{self._ray}", "--num-cpus=1")

    def _node(self, *arguments: str) -> None:
        command = [str(BIN / "ray"), "start", "--block", f"--node-ip-address={LOOPBACK}", STORE, *arguments]
        command.append("--dashboard-agent-listen-port=0")
        log = self._folder / f"node-{len(self._nodes)}"
        # A node gives up after 30 s, which a busy machine may need.
        for _ in range(3):
            with log.open("wb") as file:
                node = psutil.Popen(command, stdout=file, stderr=file, env=self._environment)
            wait(lambda: node.poll() is not None or "Ray runtime started" in log.read_text())  # noqa: B023
            if node.poll() is None:
                self._nodes.append(node)
                return
        raise RuntimeError(log.read_text()[-2000:])

    @staticmethod
    def _listens(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, port)) == 0

    def deploy(self, **arguments: Any) -> None:
        """`serve deploy` with these fields of `FleetSettings`."""
        application = {
            "name": "cato-lsp",
            "route_prefix": None,
            "import_path": "cato_lsp.fleet:app",
            "args": {
                "model": "bundled",
                "port": self.port,
                "keys": str(self._folder / "keys.json"),
                "gateway_resources": {"gateway": 0.1},
                **arguments,
            },
        }
        file = self._folder / "fleet.yaml"
        # JSON is YAML.
        file.write_text(json.dumps({"proxy_location": "Disabled", "applications": [application]}))
        command = [str(BIN / "serve"), "deploy", str(file), "--address", f"http://{LOOPBACK}:{self._dashboard}"]
        result = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(result.stderr[-2000:])

    def replicas(self) -> dict[str, Any]:
        """The replicas that take calls, as the gateway sees them."""
        try:
            return ask(self.url, self.key)["fleet"]["replicas"]
        except EngineError:
            return {}

    def counter(self, name: str) -> int:
        """A counter of the gateway, summed over its labels."""
        headers = {"Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.port}/metrics", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read().decode()
        return sum(int(float(each)) for each in re.findall(rf"^{name}(?:{{.*}})? (\S+)", text, re.MULTILINE))

    def listeners(self, port: int) -> list[psutil.Process]:
        """The processes that listen at a port of this machine."""
        found: list[psutil.Process] = []
        for node in self._nodes:
            for each in node.children(recursive=True):
                try:
                    if any(c.laddr and c.laddr.port == port and c.status == "LISTEN" for c in each.net_connections()):
                        found.append(each)
                except psutil.Error:
                    continue
        return found

    def process_of(self, replica: str) -> psutil.Process:
        """The process of a replica."""
        port = int(self.replicas()[replica]["address"].rpartition(":")[2])
        return self.listeners(port)[0]

    def stop(self) -> None:
        """End all processes."""
        tree = [each for node in self._nodes for each in (node, *node.children(recursive=True))]
        for node in self._nodes:
            node.terminate()
        _, alive = psutil.wait_procs(self._nodes, 15)
        for each in [*alive, *tree]:
            if each.is_running():
                each.kill()
        psutil.wait_procs(tree, 15)
