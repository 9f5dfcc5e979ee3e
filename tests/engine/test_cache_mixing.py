"""A cache model mixed into the answers of the real vLLM engine and the bundled model."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from cato_lsp.engine.api import Call, Delta, TokenCache
from cato_lsp.engine.thread import EngineThread
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.tokenizer import Tokenizer
from cato_lsp.workspace.cache_model import CacheModel
from cato_lsp.workspace.ngrams import NgramIndex

pytestmark = pytest.mark.anyio
LINE = "    widget = self.frobnicate_widgets"
REST = '(table["zq"], 17, colour="ultraviolet")\n'


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> Tokenizer:
    return Tokenizer.from_folder(model_folder)


def call_of(tokenizer: Tokenizer, cache: TokenCache | None, *, scored: bool = True) -> Call:
    slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, time.monotonic(), time.monotonic() + 1, "test")
    return Call(tuple(tokenizer.encode(f"def f(self):\n{LINE}")), slo, 12, scored=scored, cache=cache)


async def answer(engine: EngineThread, call: Call) -> list[Delta]:
    async with engine.submit(call) as deltas:
        return [delta async for delta in deltas]


async def test_what_stands_in_another_file_is_written_again(engine: EngineThread, tokenizer: Tokenizer) -> None:
    workspace = NgramIndex({"other.py": tokenizer.encode(f"class A:\n    def g(self):\n{LINE}{REST}" * 3)})
    cache = CacheModel(tokenizer.encode(f"def f(self):\n{LINE}"), [], workspace)
    without = "".join(delta.text for delta in await answer(engine, call_of(tokenizer, None)))
    with_it = "".join(delta.text for delta in await answer(engine, call_of(tokenizer, cache)))
    assert not without.startswith('(table["zq"]')
    assert with_it.startswith('(table["zq"]')


async def test_what_the_cache_alone_knows_is_less_sure(engine: EngineThread, tokenizer: Tokenizer) -> None:
    from cato_lsp.engine.cache_mixing import log_score

    workspace = NgramIndex({"other.py": tokenizer.encode(f"class A:\n    def g(self):\n{LINE}{REST}" * 3)})
    cache = CacheModel(tokenizer.encode(f"def f(self):\n{LINE}"), [], workspace)
    likely = [math.exp(delta.log_probability) for delta in await answer(engine, call_of(tokenizer, cache))]
    assert all(0 < each < 1 for each in likely)
    scores = [log_score(own, mixed) for own, mixed in ((0.01, 0.5), (0.01, 0.99), (0.9, 0.99), (1.0, 1.0))]
    assert scores == sorted(scores)
    assert math.exp(scores[1]) < 0.99


async def test_a_cache_that_knows_nothing_changes_nothing(engine: EngineThread, tokenizer: Tokenizer) -> None:
    without = await answer(engine, call_of(tokenizer, None))
    with_it = await answer(engine, call_of(tokenizer, CacheModel([1, 2, 3], [])))
    assert [delta.text for delta in with_it] == [delta.text for delta in without]
    scores = [delta.log_probability for delta in without]
    assert [delta.log_probability for delta in with_it] == pytest.approx(scores, abs=1e-3)
