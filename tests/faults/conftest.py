"""Windows on one live engine that keep asking, and what is broken under them."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator

import anyio
import psutil
import pytest

from cato_lsp import supervise
from cato_lsp.config import Layer
from cato_lsp.engine import host
from cato_lsp.engine.host import EnginePhase
from cato_lsp.engine.launch import Launch
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.server import listen
from tests.conftest import ENGINE_SETTINGS, phase
from tests.faults.window import Window

REPETITIONS = 20 if os.environ.get("CATO_FAULTS") == "full" else 1
"""How often each fault is injected; ``CATO_FAULTS=full`` runs the whole campaign (8 minutes)."""


@pytest.fixture(autouse=True)
def quick_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures come by the dozen here: none waits a minute for the next start."""
    for module in (supervise, host):
        monkeypatch.setattr(module, "FIRST_BACK_OFF", 0.05)
        monkeypatch.setattr(module, "LONGEST_BACK_OFF", 0.05)


@pytest.fixture
async def windows(backend: Backend, launch: Launch) -> AsyncIterator[list[Window]]:
    """Two windows of different users' work. Afterwards the engine runs again as other tests expect it."""
    engine = ENGINE_SETTINGS.model_dump(exclude_unset=True)
    completion = {"min_probability": 0, "answer_ms": 60_000, "candidates": 1}
    overrides = Layer("tests", {"model": "bundled", "engine": engine, "completion": completion})
    async with await listen(backend, "127.0.0.1", 0, overrides) as server:
        port = server.sockets[0].getsockname()[1]
        opened = [await Window.open(port, f"file:///window{number}.py") for number in range(2)]
        yield opened
        for window in opened:
            window.wire.close()
    with anyio.fail_after(60):
        while backend.orchestrator.live_count:
            await anyio.sleep(0.01)
    await run_with(backend, launch)


async def run_with(backend: Backend, launch: Launch) -> None:
    """Wait until the engine runs with these parameters."""
    restarts = backend.host.launch != launch
    backend.host.configure(launch)
    if restarts:
        await phase(backend, EnginePhase.LOADING)
    await phase(backend, EnginePhase.READY)


def memory() -> int:
    """Resident bytes of this process."""
    gc.collect()
    return psutil.Process().memory_info().rss
