#!/usr/bin/env python3
"""What the cache model and the cut cost: time to first token and tokens per second, with and without, in one run.

    .venv/bin/python scripts/bench_cache.py cato_lsp/models/default [--places 100]

Each held-out place is asked twice, in turn with and without the cache first. The second call finds the prompt in the
prefix cache, so only calls that come first count for the time to first token.
"""

from __future__ import annotations

import argparse
import sysconfig
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import numpy as np
from eval_typing import all_sources, places_of
from evaluation.places import Place
from evaluation.typing import Recorder, plan_of

from cato_lsp.config import CompletionSettings, EngineSettings
from cato_lsp.engine.api import Call
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.thread import EngineThread
from cato_lsp.orchestrator.answer_stream import completion_call
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.tokenizer import Tokenizer
from cato_lsp.workspace.cache_model import CacheModel

TOKENS = 24


@dataclass(slots=True)
class Times:
    """Seconds of the calls of one kind."""

    first: list[float] = field(default_factory=list[float])
    """Until the first token."""
    later: list[float] = field(default_factory=list[float])
    """Per later token."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="Hugging Face model folder")
    parser.add_argument("--places", type=int, default=100)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--site-packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.set_defaults(languages=["Python"])
    plain, cached = anyio.run(measure, parser.parse_args())
    print("| | without | with cache and score | ratio |\n|---|---|---|---|")
    rows = (("time to first token", plain.first, cached.first), ("time per later token", plain.later, cached.later))
    for name, without, with_cache in rows:
        for label, share in (("median", 50), ("P95", 95)):
            one, two = float(np.percentile(without, share)), float(np.percentile(with_cache, share))
            print(f"| {name}, {label} | {one * 1000:.1f} ms | {two * 1000:.1f} ms | {two / one:.2f} |")


async def measure(options: argparse.Namespace) -> tuple[Times, Times]:
    """Times without and with the cache."""
    engine = EngineThread(Launch(options.model.resolve(), EngineSettings(threads=1)))
    await engine.start()
    plain, cached = Times(), Times()
    try:
        prompter = await Prompters().completion(engine.folder, CompletionSettings(), engine.context_length)
        recorder = Recorder(engine, prompter, Tokenizer.from_folder(options.model).encode)
        (sources,) = all_sources(options)

        def calls_at(place: Place) -> tuple[Call, Call]:
            plan = plan_of(prompter, place, sources.language)[1]
            index = recorder.index(place, sources).outside(place.path, plan.document)
            slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, 0.0, 1e9, "bench")
            call = replace(completion_call(plan, slo), max_tokens=TOKENS, stop_token_ids=())
            return call, replace(call, cache=CacheModel(plan.tail, plan.document, index), scored=True)

        for number, place in enumerate(places_of(sources, options.places, options.seed)):
            pairs = list(zip(calls_at(place), (plain, cached), strict=True))
            for turn, (call, times) in enumerate(pairs if number % 2 else pairs[::-1]):
                await timed(engine, call, times, first=not turn)
    finally:
        engine.stop()
        await engine.wait_closed()
    return plain, cached


async def timed(engine: EngineThread, call: Call, times: Times, *, first: bool) -> None:
    """Run a call and note its times."""
    began = time.monotonic()
    until_first, tokens = 0.0, 0
    async with engine.submit(call) as deltas:
        async for delta in deltas:
            until_first = until_first or time.monotonic() - began
            tokens += delta.tokens
    if first:
        times.first.append(until_first)
    times.later.append((time.monotonic() - began - until_first) / max(1, tokens - 1))


if __name__ == "__main__":
    main()
