"""Answers that have to begin with a given text, on the real vLLM engine and the bundled model."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from cato_lsp.engine.api import Call, ForcedPrefix
from cato_lsp.engine.thread import EngineThread
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.healing import Healer
from cato_lsp.tasks.tokenizer import Tokenizer

HEAD = "import argparse\n\n\ndef main():\n    parser = argparse.ArgumentParser()\n"
LINES = ["    parser.add_argu", "    parser.x", "    options = parser.parse_", "    r", "    unlikely.zzq"]


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> Tokenizer:
    return Tokenizer.from_folder(model_folder)


def call_of(tokenizer: Tokenizer, line: str) -> Call:
    """A call to continue a line, whose answer has to begin with the word that the line cuts."""
    cut = Healer(tokenizer).heal(line)
    assert cut is not None
    slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, time.monotonic(), time.monotonic() + 1, "test")
    ids = (*tokenizer.encode(HEAD), *tokenizer.encode(line.removesuffix(cut.text)))
    return Call(ids, slo, 12, forced_prefix=ForcedPrefix(cut.spellings, len(cut.text), tuple(cut.ids)))


def spelled_one_way(tokenizer: Tokenizer, call: Call) -> Call:
    """The call with no choice in how its beginning is written."""
    assert call.forced_prefix is not None
    ids, ends = call.forced_prefix.hidden_ids, [0]
    for number in ids:
        ends.append(ends[-1] + len(tokenizer.decode([number])))
    steps = {start: {number: end} for start, number, end in zip(ends, ids, ends[1:], strict=False)}
    return replace(call, forced_prefix=ForcedPrefix(tuple(steps.get(at, {}) for at in range(ends[-1])), ends[-1], ids))


async def answer(engine: EngineThread, call: Call) -> str:
    async with engine.submit(call) as deltas:
        return "".join([delta.text async for delta in deltas])


@pytest.mark.anyio
@pytest.mark.parametrize("line", LINES)
async def test_a_forced_prefix_that_is_spelled_one_way_gives_the_answer_to_the_longer_prompt(
    engine: EngineThread, tokenizer: Tokenizer, line: str
) -> None:
    call = spelled_one_way(tokenizer, call_of(tokenizer, line))
    assert call.forced_prefix is not None
    longer = replace(call, prompt_ids=(*call.prompt_ids, *call.forced_prefix.hidden_ids), forced_prefix=None)
    assert await answer(engine, call) == await answer(engine, longer)


@pytest.mark.anyio
async def test_an_answer_goes_on_with_the_blank_that_was_typed(engine: EngineThread, tokenizer: Tokenizer) -> None:
    call = call_of(tokenizer, "    parser.add_argument ")
    free = replace(
        call, prompt_ids=(*call.prompt_ids, *tokenizer.encode("    parser.add_argument")), forced_prefix=None
    )
    held = replace(free, forced_prefix=call.forced_prefix)
    assert not (await answer(engine, free)).startswith(" ")
    assert (await answer(engine, held)).startswith(" ")


@pytest.mark.anyio
async def test_answers_in_one_batch_each_keep_to_their_own_forced_prefix(
    engine: EngineThread, tokenizer: Tokenizer
) -> None:
    calls = [call_of(tokenizer, line) for line in LINES]
    calls += [replace(call, forced_prefix=None) for call in calls[:2]]
    alone = [await answer(engine, call) for call in calls]
    together: dict[int, str] = {}

    async def run(number: int, call: Call) -> None:
        await anyio.sleep(0.002 * number)
        together[number] = await answer(engine, call)

    async with anyio.create_task_group() as group:
        for number, call in enumerate(calls):
            group.start_soon(run, number, call)
    assert [together[number] for number in range(len(calls))] == alone


def test_an_engine_that_cannot_force_a_prefix_reads_it_in_the_prompt(tokenizer: Tokenizer) -> None:
    from cato_lsp.engine.forced_prefix import spelled_out

    call = call_of(tokenizer, LINES[0])
    assert call.forced_prefix is not None
    out = spelled_out(call)
    assert out.prompt_ids == (*call.prompt_ids, *call.forced_prefix.hidden_ids)
    assert out.forced_prefix is None
    assert spelled_out(out) == out


def test_a_token_that_writes_the_whole_prefix_is_preferred(tokenizer: Tokenizer) -> None:
    import torch

    from cato_lsp.engine.forced_prefix import ForcedPrefixProcessor

    cut = Healer(tokenizer).heal("    retu")
    assert cut is not None
    whole, part = tokenizer.encode("return")[0], tokenizer.encode("r")[0]
    logits = torch.zeros(1, len(tokenizer.token_texts()))
    logits[0, part], logits[0, whole] = 7.0, 5.0
    processor = ForcedPrefixProcessor.__new__(ForcedPrefixProcessor)
    row = processor.make_row(ForcedPrefix(cut.spellings), [])
    assert row is not None
    processor.rows = {0: row}
    assert int(processor.apply(logits).argmax()) == whole
