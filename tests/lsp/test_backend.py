"""What sessions share follows the first of them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cato_lsp.config import Layer
from cato_lsp.engine.host import EnginePhase
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.session import Session

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
