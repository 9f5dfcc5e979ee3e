"""What sessions share follows one of them."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from cato_lsp.config import Layer
from cato_lsp.engine.host import EnginePhase
from cato_lsp.lsp import backend as backend_module
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.session import Session
from cato_lsp.models.catalog import ModelChoice, resolve_model

pytestmark = pytest.mark.anyio


async def session_with(backend: Backend, **settings: object) -> Session:
    session = Session(backend, Layer("tests", settings))
    await session.apply_settings()
    return session


async def test_a_model_that_is_not_on_this_disk_is_a_failure_with_what_to_do() -> None:
    backend = Backend()
    await session_with(backend, model="/no/such/model")
    status = backend.host.status
    assert status.phase is EnginePhase.FAILED
    assert "/no/such/model" in status.message
    assert "cato-lsp models" in status.remedy


async def test_a_later_session_changes_neither_the_engine_nor_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    backend = Backend()
    first = await session_with(backend, model="bundled", log_level="error")
    launch = backend.host.launch
    await session_with(backend, model=str(tmp_path), log_level="debug")
    assert backend.host.launch == launch
    assert logging.getLogger().level == logging.ERROR
    backend.leave(first)
    later = await session_with(backend, model=str(tmp_path), log_level="error")
    assert later.settings.model == str(tmp_path)


async def test_where_nothing_could_be_started_for_the_first_session_the_engine_follows_the_next() -> None:
    backend = Backend()
    await session_with(backend, model="/no/such/model")
    assert backend.host.launch is None
    await session_with(backend, model="bundled")
    assert backend.host.launch is not None


async def test_the_engine_does_not_change_hands_while_two_sessions_open_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_asks, second_found = threading.Event(), threading.Event()

    def resolve(model: str, root: Path) -> ModelChoice:
        if model == "bundled":
            first_asks.set()
            second_found.wait()
        return resolve_model("bundled", root)

    monkeypatch.setattr(backend_module, "resolve_model", resolve)
    backend = Backend()
    warnings: list[str] = []
    async with anyio.create_task_group() as group:
        slow = Session(backend, Layer("tests", {"model": "bundled", "engine": {"threads": 1}}))
        monkeypatch.setattr(slow.status, "warn", warnings.append)
        group.start_soon(slow.apply_settings)
        await anyio.to_thread.run_sync(first_asks.wait)
        await session_with(backend, model=str(tmp_path), engine={"threads": 2})
        launch = backend.host.launch
        second_found.set()
    assert backend.host.launch is launch is not None
    (warning,) = warnings
    assert "engine.threads is 2, not 1" in warning
