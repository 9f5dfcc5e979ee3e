"""vLLM's own API server on the bundled model, as a process, with our scheduler or its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cato_lsp.models.catalog import resolve_model

CATO = "cato_lsp.engine.serving.CatoScheduler"
MODEL = "bundled"
PATIENCE = 600.0
"""Seconds for the start, which imports vLLM on a machine that may be busy."""
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    # The engine's process does not import everything once more.
    "VLLM_WORKER_MULTIPROCESSING_METHOD": "fork",
    "HF_HUB_OFFLINE": "1",
}


@contextmanager
def api_server(log: Path, scheduler: str | None, *options: str) -> Iterator[str]:
    """Run the server; yield its address once it answers.

    :param log: file for its output.
    :param scheduler: value of ``--scheduler-cls``; ``None``: vLLM's own.
    :param options: further arguments.

    Raises:
        RuntimeError: it ended, or did not answer in time.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", str(resolve_model(MODEL).path), "--served-model-name", MODEL]
    command += ["--dtype", "float32", "--enforce-eager", "--no-async-scheduling", "--disable-uvicorn-access-log"]
    command += ["--scheduler-cls", scheduler] if scheduler else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(process, f"{address}/health", log)
            yield address
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"vLLM's API server does not answer:\n{log.read_text(errors='replace')[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    # Its engine runs in a process of its own.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
