"""The host keeps an engine going, on the real vLLM engine."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio.lowlevel
import pytest

from cato_lsp.engine.api import Delta, EngineUnavailableError
from cato_lsp.engine.host import EnginePhase, EngineStatus
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.engine.thread import EngineThread
from cato_lsp.lsp.backend import Backend
from tests.conftest import ENGINE_SETTINGS, make_call, phase

pytestmark = pytest.mark.anyio


async def answer_of(stream: ThreadCallStream) -> list[Delta]:
    async with stream:
        return [delta async for delta in stream]


async def test_a_dead_engine_fails_its_open_calls_and_is_restarted(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cato_lsp.engine.vllm_core import VllmCore

    heard: list[EngineStatus] = []
    unwatch = backend.host.watch(heard.append)
    engine = backend.host.engine
    streams = [engine.submit(make_call(50, max_tokens=2000, first=320 + n)) for n in range(3)]
    async for _ in streams[0]:
        break

    def die(_core: VllmCore) -> None:
        raise RuntimeError("the driver is gone")

    with monkeypatch.context() as patch:
        patch.setattr(VllmCore, "step", die)
        assert isinstance(await engine.wait_closed(), EngineUnavailableError)
    for stream in [*streams, engine.submit(make_call())]:
        with pytest.raises(EngineUnavailableError, match="the driver is gone"):
            await answer_of(stream)
    with pytest.raises(EngineUnavailableError):
        _ = backend.host.engine
    await phase(backend, EnginePhase.READY)
    unwatch()
    assert backend.host.engine is not engine
    phases = [status.phase for status in heard]
    assert phases[:2] == [EnginePhase.READY, EnginePhase.FAILED]
    assert await answer_of(backend.host.engine.submit(make_call(50, max_tokens=3)))


async def test_a_broken_model_has_a_remedy_and_is_retried_when_repaired(
    backend: Backend, launch: Launch, tmp_path: Path
) -> None:
    broken = tmp_path / "model"
    shutil.copytree(launch.model, broken)
    weights = next(broken.glob("*.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    backend.host.configure(Launch(broken, ENGINE_SETTINGS))
    status = await phase(backend, EnginePhase.FAILED)
    assert weights.name in status.message
    assert "copy it again" in status.remedy
    weights.write_bytes(whole)
    backend.host.configure(Launch(broken, ENGINE_SETTINGS))
    await phase(backend, EnginePhase.READY)
    backend.host.configure(launch)
    await phase(backend, EnginePhase.LOADING)
    await phase(backend, EnginePhase.READY)


async def test_the_same_launch_again_restarts_nothing(backend: Backend, launch: Launch) -> None:
    engine = backend.host.engine
    backend.host.configure(Launch(launch.model, ENGINE_SETTINGS))
    await anyio.lowlevel.checkpoint()
    assert backend.host.engine is engine


async def test_an_engine_that_is_to_be_replaced_takes_no_more_calls(backend: Backend, launch: Launch) -> None:
    old = backend.host.engine
    backend.host.configure(Launch(launch.model, ENGINE_SETTINGS.model_copy(update={"kv_cache_gb": 0.3})))
    assert backend.host.status.phase is EnginePhase.LOADING
    with pytest.raises(EngineUnavailableError, match="Restarting"):
        _ = backend.host.engine
    await phase(backend, EnginePhase.READY)
    assert backend.host.engine is not old
    assert await answer_of(backend.host.engine.submit(make_call(50, max_tokens=3)))
    backend.host.configure(launch)
    await phase(backend, EnginePhase.READY)


async def test_a_model_folder_that_is_not_there_fails_the_start_with_a_clear_error(tmp_path: Path) -> None:
    thread = EngineThread(Launch(tmp_path / "nowhere", ENGINE_SETTINGS))
    with pytest.raises(Exception, match="no model folder"):
        await thread.start()
