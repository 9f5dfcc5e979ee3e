"""What the tests of all packages share: one event loop, one live engine on the bundled model."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import hypothesis
import pytest

from cato_lsp.config import EngineSettings
from cato_lsp.engine.api import Call
from cato_lsp.engine.host import EnginePhase, EngineStatus
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.engine.thread import EngineThread
from cato_lsp.lsp.backend import Backend
from cato_lsp.models.catalog import resolve_model
from cato_lsp.orchestrator.record import TaskRecord
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

# No test asserts times, hypothesis's own limits included: machines are shared.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

ENGINE_SETTINGS = EngineSettings(threads=1, kv_cache_gb=0.25)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what shares one live engine last: vLLM keeps global state, so a process holds one engine at a time,
    and tests that make their own must be done before.
    """
    items.sort(key=lambda item: "backend" in getattr(item, "fixturenames", ()))


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
    return Launch(model_folder, ENGINE_SETTINGS, "bundled")


@pytest.fixture(scope="session")
async def backend(anyio_backend: str, launch: Launch) -> AsyncIterator[Backend]:
    """The shared side of a server, with its engine ready.

    It names anyio's fixture, so that it also starts for a test that is not async itself.
    """
    backend = Backend()
    async with anyio.create_task_group() as group:
        group.start_soon(backend.run)
        backend.host.configure(launch)
        await phase(backend, EnginePhase.READY)
        await backend.orchestrator.prompts_loaded.wait()
        yield backend
        engine = backend.host.engine
        group.cancel_scope.cancel()
    await engine.wait_closed()


@pytest.fixture(autouse=True)
def engine_as_found(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that starts the shared engine with other settings has to start it as it was again, also when it fails.

    Otherwise it is started again by the next test that opens a window, while that test asks for answers.
    """
    yield
    arguments = request.node.funcargs
    if "backend" in arguments:
        host = arguments["backend"].host
        assert host.launch == request.getfixturevalue("launch")
        assert host.status.phase is EnginePhase.READY


@pytest.fixture
def engine(backend: Backend) -> EngineThread:
    """The live engine that all tests share."""
    return backend.host.engine


@pytest.fixture
def submitted(engine: EngineThread, monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The calls that the engine is sent from now on. Others may send some too: look at a call's client."""
    calls: list[Call] = []
    submit = engine.submit

    def record(call: Call) -> ThreadCallStream:
        calls.append(call)
        return submit(call)

    monkeypatch.setattr(engine, "submit", record)
    return calls


async def phase(backend: Backend, wanted: EnginePhase) -> EngineStatus:
    """Wait until the engine is in a phase; return its status."""
    reached = anyio.Event()
    unwatch = backend.host.watch(lambda status: reached.set() if status.phase is wanted else None)
    with anyio.fail_after(600):
        await reached.wait()
    unwatch()
    return backend.host.status


def last_record(backend: Backend) -> TaskRecord | None:
    """The record of the task that ended last. The log is bounded, so its length says nothing."""
    return next(reversed(list(backend.orchestrator.log)), None)


async def next_record(backend: Backend, last: TaskRecord | None) -> TaskRecord:
    """Wait until a task has ended after ``last``; return its record."""
    with anyio.fail_after(60):
        while (record := last_record(backend)) is last:
            await anyio.sleep(0.001)
    assert record is not None
    return record


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
    return Call(prompt, Slo(TaskKind.COMPLETION, service, now, now + 0.2, client), max_tokens)
