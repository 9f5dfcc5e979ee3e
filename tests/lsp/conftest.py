"""Sessions on a socket, all on one backend with a live engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from cato_lsp.config import Layer
from cato_lsp.engine.api import Call
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.server import listen
from tests.conftest import ENGINE_SETTINGS
from tests.lsp.wire import Wire


@pytest.fixture(scope="session")
async def port(backend: Backend, model_folder: Path) -> AsyncIterator[int]:
    """Where the server listens."""
    engine = ENGINE_SETTINGS.model_dump(exclude_unset=True)
    completion = {"warm_up": False, "min_probability": 0}  # whatever the model is sure of
    overrides = Layer("tests", {"model": str(model_folder), "engine": engine, "completion": completion})
    async with await listen(backend, "127.0.0.1", 0, overrides) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def wire(port: int, backend: Backend) -> AsyncIterator[Wire]:
    """A fresh connection; afterwards nothing of it may be left running."""
    wire = await Wire.connect(port)
    yield wire
    wire.close()
    with anyio.fail_after(30):
        while backend.orchestrator.live_count or _calls(backend):
            await asyncio.sleep(0.001)


def _calls(backend: Backend) -> int:
    """Calls that vLLM has not ended yet: an abort waits for a step that is being planned."""
    stats = backend.orchestrator.engine_stats()
    return stats.calls_running + stats.calls_waiting


def calls_of_the_newest_window(backend: Backend, submitted: list[Call]) -> list[Call]:
    """What the engine was sent for the session that began last, of the calls that the fixture `submitted` has seen."""
    return [call for call in submitted if call.slo.client == backend._sessions[-1].client]
