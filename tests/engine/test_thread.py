"""The engine's thread, on the real vLLM engine and the bundled model."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

from cato_lsp.engine.api import CallRejectedError
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.engine.thread import EngineThread
from tests.conftest import make_call

pytestmark = pytest.mark.anyio


async def settled(engine: EngineThread, stream: ThreadCallStream) -> None:
    """Wait until the engine has taken a cancel, and make it run more steps, in which nothing of the call may be."""
    with anyio.fail_after(30):
        while stream.usage.abort_latency_steps is None:
            await anyio.sleep(0.001)
    await tokens_of(engine.submit(make_call(16, max_tokens=4, first=299)))


async def tokens_of(stream: ThreadCallStream) -> int:
    async with stream:
        return sum([delta.tokens async for delta in stream])


async def test_a_call_yields_deltas_and_a_finish_reason(engine: EngineThread) -> None:
    stream = engine.submit(make_call(100, max_tokens=6, first=301))
    async with stream:
        deltas = [delta async for delta in stream]
    assert deltas[-1].finish_reason in ("length", "stop")
    assert all(delta.finish_reason is None for delta in deltas[:-1])
    assert sum(delta.tokens for delta in deltas) <= 6
    assert stream.usage.tokens_computed >= 100


async def test_the_same_prompt_again_is_found_in_the_prefix_cache(engine: EngineThread) -> None:
    first, again = engine.submit(make_call(500, first=302)), None
    await tokens_of(first)
    again = engine.submit(make_call(500, first=302))
    async with again:
        cached = [delta.cached_prompt_tokens async for delta in again]
    assert cached[0] >= 450
    assert again.usage.tokens_computed < first.usage.tokens_computed / 5


async def test_a_call_cancelled_during_decode_costs_no_token_after_the_step_that_ran_continue_764(
    engine: EngineThread,
) -> None:
    stream = engine.submit(make_call(50, max_tokens=500, first=303))
    async with stream:
        received = 0
        async for delta in stream:
            received += delta.tokens
            if received >= 5:
                break
    await settled(engine, stream)
    assert stream.usage.tokens_after_cancel == 0
    assert stream.usage.abort_latency_steps is not None
    assert stream.usage.abort_latency_steps <= 1
    assert stream.usage.tokens_computed < 50 + 500


async def test_a_call_cancelled_while_a_step_runs_is_aborted_before_the_next_one(
    engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cato_lsp.engine.vllm_core import VllmCore

    step, running, go_on = VllmCore.step, threading.Event(), threading.Event()

    def held(core: VllmCore) -> Any:
        running.set()
        go_on.wait()
        return step(core)

    with monkeypatch.context() as patch:
        patch.setattr(VllmCore, "step", held)
        stream = engine.submit(make_call(50, max_tokens=500, first=309))
        await anyio.to_thread.run_sync(running.wait)
        stream.cancel()
        go_on.set()
        await settled(engine, stream)
    assert stream.usage.abort_latency_steps == 1
    assert stream.usage.tokens_computed == 50
    assert stream.usage.tokens_after_cancel == 0


async def test_a_call_cancelled_during_prefill_leaves_the_rest_of_its_prompt_uncomputed_tabbyapi_383(
    engine: EngineThread,
) -> None:
    prompt = 3000
    stream = engine.submit(make_call(prompt, first=304))
    with anyio.fail_after(30):
        while stream.usage.tokens_computed == 0:  # its first chunk is being computed or done
            await anyio.sleep(0.0005)
    stream.cancel()
    await settled(engine, stream)
    assert 0 < stream.usage.tokens_computed < prompt
    assert stream.usage.tokens_after_cancel == 0


async def test_an_abort_that_vllm_ignored_would_be_counted_vllm_54947(
    engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cato_lsp.engine.vllm_core import VllmCore

    ignored: list[tuple[VllmCore, list[str]]] = []
    with monkeypatch.context() as patch:
        patch.setattr(VllmCore, "abort", lambda core, call_ids: ignored.append((core, list(call_ids))))
        stream = engine.submit(make_call(50, max_tokens=200, first=330))
        async for _ in stream:
            break
        wasted = engine.stats().tokens_wasted
        stream.cancel()
        await settled(engine, stream)
    assert stream.usage.tokens_after_cancel > 0
    assert engine.stats().tokens_wasted > wasted
    with anyio.fail_after(30):  # the call runs to its end by itself
        while engine.stats().calls_running:
            await anyio.sleep(0.001)
    assert ignored


async def test_a_call_cancelled_before_the_engine_saw_it_costs_nothing(engine: EngineThread) -> None:
    stream = engine.submit(make_call(1000, first=305))
    stream.cancel()
    await settled(engine, stream)
    assert stream.usage.tokens_computed == 0


async def test_cancelling_twice_or_after_the_end_changes_nothing(engine: EngineThread) -> None:
    stream = engine.submit(make_call(20, max_tokens=1, first=306))
    await tokens_of(stream)
    stream.cancel()
    stream.cancel()
    assert stream.usage.abort_latency_steps is None


async def test_cancelling_one_call_leaves_the_others_their_answers(engine: EngineThread) -> None:
    alone = await tokens_of(engine.submit(make_call(60, max_tokens=20, first=307)))
    kept, dropped = (engine.submit(make_call(60, max_tokens=20, first=first)) for first in (307, 308))
    dropped.cancel()
    assert await tokens_of(kept) == alone
    await settled(engine, dropped)


async def test_all_blocks_return_when_every_call_is_cancelled(engine: EngineThread) -> None:
    streams = [engine.submit(make_call(600, max_tokens=300, first=310 + n)) for n in range(6)]
    await anyio.sleep(0.05)
    for stream in streams:
        stream.cancel()
    for stream in streams:
        await settled(engine, stream)
    with anyio.fail_after(30):
        while engine.stats().calls_running or engine.stats().calls_waiting:
            await anyio.sleep(0.001)
    assert engine.stats().kv_cache_usage == 0
    assert not sum(stream.usage.tokens_after_cancel for stream in streams)


async def test_a_call_that_does_not_fit_the_context_is_rejected_alone(engine: EngineThread) -> None:
    stream = engine.submit(make_call(20, max_tokens=engine.context_length))
    with pytest.raises(CallRejectedError, match="context window"):
        await tokens_of(stream)
    assert await tokens_of(engine.submit(make_call(20, max_tokens=2))) > 0
