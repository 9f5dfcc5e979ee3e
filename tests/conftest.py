"""What all rooms' tests share: one event loop, one live engine on the bundled model."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cato_lsp.config import EngineSettings
from cato_lsp.engine.api import Call
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.thread import EngineThread
from cato_lsp.models.catalog import resolve_model
from cato_lsp.scheduling.promise import Promise, ServiceClass, TaskKind

ENGINE_SETTINGS = EngineSettings(threads=1, kv_cache_gb=0.25)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, all in one loop."""
    return "asyncio"


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The model that ships with the package."""
    return resolve_model("bundled").path


@pytest.fixture(scope="session")
def launch(model_folder: Path) -> Launch:
    """How tests start an engine: one thread, a small cache."""
    return Launch(model_folder, ENGINE_SETTINGS)


@pytest.fixture(scope="session")
async def engine(launch: Launch) -> AsyncIterator[EngineThread]:
    """A live vLLM engine, shared by all tests that only add calls to it."""
    thread = EngineThread(launch)
    await thread.start()
    yield thread
    thread.stop()
    await thread.wait_closed()


def make_call(
    prompt_tokens: int = 400,
    max_tokens: int = 8,
    *,
    first: int = 300,
    service: ServiceClass = ServiceClass.TTFT,
    client: str = "test",
) -> Call:
    """A call whose prompt is a run of token ids; ``first`` tells prompts apart, so that no prefix is shared."""
    now = time.monotonic()
    prompt = tuple(first + (i * 7) % 1500 for i in range(prompt_tokens))
    return Call(prompt, Promise(TaskKind.COMPLETION, service, now, now + 0.2, client), max_tokens)
