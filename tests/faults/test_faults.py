"""Failures stay where they happen: exceptions at named points, again and again under load, on the real engine.

``CATO_FAULTS=full`` injects each of them 20 times.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from cato_lsp.engine.host import EnginePhase
from cato_lsp.engine.telemetry import MachineMonitor
from cato_lsp.engine.thread import EngineThread
from cato_lsp.lsp import status_socket
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.documents import Document
from cato_lsp.lsp.status_socket import ask_servers, serve_status
from cato_lsp.orchestrator.background import Background
from cato_lsp.orchestrator.context import Contexts
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.supervise import supervise
from cato_lsp.tasks.completion import CompletionPrompter
from cato_lsp.tasks.stop import StopRules
from cato_lsp.tasks.tokenizer import Tokenizer
from tests.conftest import phase
from tests.faults.conftest import REPETITIONS, memory
from tests.faults.window import Window

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]

PATIENCE = 300.0
"""Seconds after which something that never happens fails a test."""

Trigger = Callable[[Backend, list[Window]], Awaitable[None]]


class InjectedError(Exception):
    """What the campaign raises."""


@dataclass
class Injection:
    """Makes a function raise at its next call; after that it is itself again."""

    owner: Any
    name: str
    after: bool = False
    """Raise once the work is done."""
    armed: bool = False
    fired: int = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        original = getattr(self.owner, self.name)

        def broken(*args: Any, **kwargs: Any) -> Any:
            if not self.armed:
                return original(*args, **kwargs)
            self.armed = False
            result = original(*args, **kwargs) if self.after else None
            self.fired += 1
            del result
            raise InjectedError(self.name)

        static = isinstance(inspect.getattr_static(self.owner, self.name), staticmethod)
        patch.setattr(self.owner, self.name, staticmethod(broken) if static else broken)


async def nothing(_backend: Backend, _windows: list[Window]) -> None:
    """The load alone leads there."""


async def restart(backend: Backend, _windows: list[Window]) -> None:
    """Start the engine again with another setting."""
    launch = backend.host.launch
    assert launch is not None
    size = 0.25 if launch.settings.kv_cache_gb != 0.25 else 0.2501  # of equal size in memory
    settings = launch.settings.model_copy(update={"kv_cache_gb": size})
    backend.host.configure(dataclasses.replace(launch, settings=settings))


async def cancel(_backend: Backend, windows: list[Window]) -> None:
    """Cancel a request that runs."""
    number = windows[0].ask()
    await windows[0].wire.status()
    windows[0].cancel(number)


async def edit(_backend: Backend, windows: list[Window]) -> None:
    windows[0].type()


async def reopen(_backend: Backend, windows: list[Window]) -> None:
    """Open a document again, which is prefilled then."""
    windows[0].reopen()


async def ask_status(_backend: Backend, _windows: list[Window]) -> None:
    await anyio.to_thread.run_sync(ask_servers)


async def rest(backend: Backend, _windows: list[Window]) -> None:
    """Make the idle watch due at once."""
    backend.orchestrator._prefetcher._idle.stir("rested")
    backend.orchestrator._prefetcher._idle._due["rested"] = 0.0


def points(backend: Backend) -> dict[str, tuple[Injection, Trigger]]:
    from cato_lsp.engine.vllm_core import VllmCore

    return {
        "model load": (Injection(VllmCore, "__init__"), restart),
        "tokenizer": (Injection(Tokenizer, "encode"), edit),
        "add": (Injection(VllmCore, "add"), nothing),
        "step": (Injection(VllmCore, "step"), nothing),
        "abort": (Injection(VllmCore, "abort"), cancel),
        "close": (Injection(VllmCore, "close", after=True), restart),
        "stop rules": (Injection(StopRules, "feed"), nothing),
        "prefetch": (Injection(Background, "_answer"), reopen),
        "context gathering": (Injection(Contexts, "gather"), reopen),
        "idle watch": (Injection(backend.orchestrator._prefetcher._idle, "_rested"), rest),
        "prompt formats": (Injection(Prompters, "coding"), restart),
        "status socket": (Injection(status_socket, "backend_status"), ask_status),
        "telemetry": (Injection(MachineMonitor, "_sample"), nothing),
        "document sync": (Injection(Document, "change"), edit),
    }


NAMES = (
    "model load",
    "tokenizer",
    "add",
    "step",
    "abort",
    "close",
    "stop rules",
    "prefetch",
    "context gathering",
    "idle watch",
    "prompt formats",
    "status socket",
    "telemetry",
    "document sync",
)


@pytest.mark.parametrize("name", NAMES)
async def test_a_failure_stays_where_it_happens(
    name: str,
    backend: Backend,
    windows: list[Window],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    injection, trigger = points(backend)[name]
    assert set(points(backend)) == set(NAMES)
    injection.install(monkeypatch)
    monkeypatch.setattr(backend.machine, "_seconds", 0.05)
    # The bundled model has not learned to read other files; its prompts with them are as good as any here.
    monkeypatch.setattr(CompletionPrompter, "reads_other_files", True)
    await ready(backend, windows)
    async with anyio.create_task_group() as group:
        group.start_soon(supervise, "The status socket", lambda: serve_status(backend))
        while not await anyio.to_thread.run_sync(ask_servers):
            await anyio.sleep(0.01)
        await round_of(injection, trigger, backend, windows)
        if REPETITIONS > 1:
            before = await memory_of_a_fresh_engine(backend, windows)  # with what is allocated once
            for _ in range(REPETITIONS - 1):
                await round_of(injection, trigger, backend, windows)
            caplog.clear()  # its tracebacks hold the engines that failed
            after = await memory_of_a_fresh_engine(backend, windows)
            assert after < before * 1.05, f"{before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after"
        group.cancel_scope.cancel()
    assert injection.fired == REPETITIONS


async def memory_of_a_fresh_engine(backend: Backend, windows: list[Window]) -> int:
    """Resident bytes with a new engine: the pages of an older one's KV cache come with the tokens that it computed."""
    await restart(backend, windows)
    await phase(backend, EnginePhase.LOADING)
    await ready(backend, windows)
    return memory()


async def round_of(injection: Injection, trigger: Trigger, backend: Backend, windows: list[Window]) -> None:
    """Break something under load, and see that all is well again."""
    fired = injection.fired
    with anyio.fail_after(PATIENCE):
        for window in windows:
            window.type()
            window.command()
            window.ask()
        injection.armed = True
        await trigger(backend, windows)
        while injection.fired == fired:
            for window in windows[1:]:  # a key in the first window would drop what is prefetched for it
                window.type()
                await window.wait_for(window.ask())
            await anyio.sleep(0.01)
        for window in windows:
            window.ask()
            answers = await window.answers()
            assert answers == Counter(window.asked)
        for window in windows:
            window.reopen()
        await ready(backend, windows)


async def ready(backend: Backend, windows: list[Window]) -> None:
    """Wait until an engine runs and every window gets completions from it."""
    while not (backend.host.status.phase is EnginePhase.READY and isinstance(backend.host.engine, EngineThread)):
        await anyio.sleep(0.01)
    for window in windows:
        while not await window.completes():
            await anyio.sleep(0.01)
    for window in windows:
        window.wire.heard.clear()
        window.asked.clear()
