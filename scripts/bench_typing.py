#!/usr/bin/env python3
"""Play the recorded typing sessions against the bundled model, as our server answers them and as a plain client would.

    PYTHONPATH=. python scripts/bench_typing.py [--keys 300] [--recording FILE ...] [--engine URL] [--json FILE]

With --engine the model is on a team's server; the key comes from CATO_KEY. Prints two Markdown tables. The figures of
the first do not depend on the machine. A real session can be recorded with scripts/record_typing.py.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import anyio
from keystrokes.layouts import PrefixCache, layouts
from keystrokes.recording import Kind, Recording
from keystrokes.replay import DEADLINE, Plain, Played, Product, play

from cato_lsp.config import EngineSettings, Settings
from cato_lsp.engine.host import EnginePhase
from cato_lsp.engine.launch import Launch
from cato_lsp.lsp.backend import Backend
from cato_lsp.models.catalog import resolve_model
from cato_lsp.orchestrator.summary import percentile
from cato_lsp.remote.engine import RemoteEngine, RemoteLaunch
from cato_lsp.tasks.model_format import ModelFormat, read_model_format

RECORDINGS = Path(__file__).resolve().parent / "keystrokes" / "recordings"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, action="append", help="a session; may be repeated")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--engine", help="address of a team's server with the same model, wss://HOST:PORT")
    parser.add_argument("--keys", type=int, default=300, help="keys of each session that are played live")
    parser.add_argument("--layout-keys", type=int, default=1500, help="keys of each session for the first table")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    paths = options.recording or sorted(RECORDINGS.glob("*.gz"))
    recordings = [Recording.load(path) for path in paths]
    form = read_model_format(resolve_model(options.model).path)
    budget = Settings().completion.prompt_tokens
    by_layout = compare_layouts(recordings, form, budget, options.layout_keys)
    print(f"{layout_table(by_layout)}\n")
    load = os.getloadavg()[0]
    played = anyio.run(live, options, recordings, form, budget)
    print(f"Load average at the start {load:.1f}, {os.cpu_count()} cores.\n\n{live_table(played)}")
    if options.json:
        result = {"layouts": by_layout, "live": {name: asdict(each) for name, each in played.items()}}
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


def middle(recording: Recording, count: int) -> int:
    """The first of ``count`` keys in the middle of a session."""
    return max(0, (len(recording.keys) - count) // 2)


def compare_layouts(
    recordings: list[Recording], form: ModelFormat, budget: int, count: int
) -> dict[str, tuple[float, float]]:
    """By layout, the tokens of a prompt and those of them that a prefix cache has to compute, per key."""
    figures: dict[str, tuple[float, float]] = {}
    for name, layout in layouts(form.tokenizer, form.family, budget).items():
        keys = tokens = computed = 0
        for recording in recordings:
            cache = PrefixCache()
            first = middle(recording, count)
            for key, text in islice(recording.states(), first, first + count):
                if key.kind is not Kind.MOVE:
                    cache.take(layout(text, key.cursor))
                    keys += 1
            tokens += cache.tokens
            computed += cache.computed
        figures[name] = tokens / keys, computed / keys
    return figures


async def live(
    options: argparse.Namespace, recordings: list[Recording], form: ModelFormat, budget: int
) -> dict[str, Played]:
    """Play every session as each client, on one engine."""
    backend = Backend()
    logging.getLogger().setLevel(logging.WARNING)
    totals = {"cato-lsp": Played(), "one request per key": Played()}

    def resting() -> bool:
        if isinstance(engine := backend.host.engine, RemoteEngine):
            # The server's counters come with the pings only; the usage of a call comes after its answer.
            return not engine._open and not engine._ended and not backend.orchestrator.live_count
        stats = backend.orchestrator.engine_stats()
        return not stats.calls_running and not stats.calls_waiting and not backend.orchestrator.live_count

    async with anyio.create_task_group() as group:
        group.start_soon(backend.run)
        local = Launch(resolve_model(options.model).path, EngineSettings())
        backend.host.configure(RemoteLaunch(options.engine) if options.engine else local)
        await ready(backend)
        for number, recording in enumerate(recordings):
            first = middle(recording, options.keys)
            clients = {
                "cato-lsp": Product(backend, Settings(), f"product-{number}"),
                "one request per key": Plain(backend, form.tokenizer, form.family, budget, f"plain-{number}"),
            }
            for name, client in clients.items():
                totals[name].add(await play(recording, first, options.keys, client, resting))
        engine = backend.host.engine
        group.cancel_scope.cancel()
    await engine.wait_closed()
    return totals


async def ready(backend: Backend) -> None:
    """Wait until the engine serves and all is calibrated."""
    reached = anyio.Event()
    unwatch = backend.host.watch(lambda status: reached.set() if status.phase is EnginePhase.READY else None)
    await reached.wait()
    unwatch()
    await backend.orchestrator.prompts_loaded.wait()


def layout_table(figures: dict[str, tuple[float, float]]) -> str:
    """The first table."""
    rows = ["| prompt | tokens per key | of these computed |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| {name} | {all_:.0f} | {new:.1f} |" for name, (all_, new) in figures.items())])


def live_table(played: dict[str, Played]) -> str:
    """The second table: a row for each measure."""
    columns = {name: _figures(each) for name, each in played.items()}
    rows = [f"| | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for measure in next(iter(columns.values())):
        rows.append(f"| {measure} | {' | '.join(column[measure] for column in columns.values())} |")
    return "\n".join(rows)


def _figures(played: Played) -> dict[str, str]:
    keys = played.keys
    in_time = sum(answer <= DEADLINE for answer in played.answers)
    middle_, late = (1000 * (percentile(played.answers, percent) or 0.0) for percent in (50, 95))
    return {
        "keys that ask": str(keys),
        "of these answered without a model call": f"{played.without_call / keys:.1%}",
        "answered before the next key": f"{len(played.answers) / keys:.1%}",
        f"answered within {DEADLINE * 1000:.0f} ms": f"{in_time / keys:.1%}",
        "with something to show": f"{played.shown / keys:.1%}",
        "key to answer, ms, P50": f"{middle_:.0f}",
        "key to answer, ms, P95": f"{late:.0f}",
        "prompt tokens computed per key": f"{played.computed_prompt_tokens / keys:.0f}",
        "tokens computed for unused answers, per key": f"{played.wasted / keys:.1f}",
        "of these after the cancel": f"{played.after_cancel / keys:.2f}",
    }


if __name__ == "__main__":
    main()
