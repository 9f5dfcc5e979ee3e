#!/usr/bin/env python3
"""What a person sees while typing and when asking, on held-out packages, by language.

    .venv/bin/python scripts/eval_typing.py cato_lsp/models/default [--places 200] [--traces FOLDER]

For each language: the model alone and with the cache model over the package, whole answers (asked) and answers cut at
thresholds (typed). *Right of shown*: what stood there begins with what is shown. Characters and tokens are per place.
Calibrate with another ``--seed`` than the one that is reported.
"""

from __future__ import annotations

import argparse
import sysconfig
from pathlib import Path

import anyio
from evaluation import places as python_places
from evaluation.concurrency import each
from evaluation.places import Place, line_places
from evaluation.typing import HEADER, Recorder, Shown, Sources, Trace, load, save, shown, text_places
from training.corpus import held_out_files, held_out_of
from training.sources import LANGUAGES

from cato_lsp.config import CompletionSettings, EngineSettings
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.thread import EngineThread
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.tasks.completion import CompletionPrompter
from cato_lsp.tasks.tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
OWN = (("TypeScript", "typescript", "editors/vscode/src", "*.ts"), ("Lua", "lua", "editors/neovim/lua", "*.lua"))
"""This project's own code in other languages, which nothing is trained on."""
THRESHOLDS = (0.0, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="Hugging Face model folder")
    parser.add_argument("--places", type=int, default=200, help="per language")
    parser.add_argument("--seed", type=int, default=python_places.SEED)
    parser.add_argument("--languages", nargs="+", default=["Python", "TypeScript", "Lua"])
    parser.add_argument("--traces", type=Path, help="answers are kept here and read again")
    parser.add_argument("--site-packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "model")
    options = parser.parse_args()
    if options.traces is not None:
        options.traces.mkdir(parents=True, exist_ok=True)
    anyio.run(measure, options)


async def measure(options: argparse.Namespace) -> None:
    """Record what is not recorded yet, and print a table."""
    engine = EngineThread(Launch(options.model.resolve(), EngineSettings(threads=1)))
    await engine.start()
    try:
        prompter = await Prompters().completion(engine.folder, CompletionSettings(), engine.context_length)
        recorder = Recorder(engine, prompter, Tokenizer.from_folder(options.model).encode)
        print(f"| language | cache | minimum probability | {' | '.join(HEADER)} |", flush=True)
        print("|---" * (3 + len(HEADER)) + "|")
        for sources in all_sources(options):
            places = places_of(sources, options.places, options.seed)
            for workspace in (False, True):
                traces = await recorded(recorder, places, sources, workspace, options)
                await print_rows(sources.name, workspace, traces, prompter)
    finally:
        engine.stop()
        await engine.wait_closed()


async def recorded(
    recorder: Recorder, places: list[Place], sources: Sources, workspace: bool, options: argparse.Namespace
) -> list[Trace]:
    """The answers at all places, which are kept in the folder ``options.traces`` if there is one."""
    if options.traces is None:
        return await record(recorder, places, sources, workspace)
    file = options.traces / f"{sources.name}-{options.seed}-{len(places)}-{int(workspace)}.jsonl"
    if not file.exists():
        save(await record(recorder, places, sources, workspace), file)
    return load(file)


async def record(recorder: Recorder, places: list[Place], sources: Sources, workspace: bool) -> list[Trace]:
    """The answers at all places."""
    return await each(places, lambda place: recorder.record(place, sources, workspace=workspace))


async def print_rows(name: str, workspace: bool, traces: list[Trace], prompter: CompletionPrompter) -> None:
    """A row for each threshold; 0 is what a person gets who asks."""
    for threshold in THRESHOLDS:
        sums = Shown()
        for trace in traces:
            text, tokens = await shown(trace, prompter, threshold)
            sums.add(text, trace.place, tokens)
        cells = [name, "workspace" if workspace else "none", f"{threshold}" if threshold else "asked", *sums.cells()]
        print(f"| {' | '.join(cells)} |", flush=True)


def all_sources(options: argparse.Namespace) -> list[Sources]:
    """The files of each language."""
    found: list[Sources] = []
    if "Python" in options.languages:
        files = held_out_files(options.site_packages)
        texts, packages = {f.path: f.text for f in files}, {f.path: f.package for f in files}
        found.append(Sources("Python", "python", texts, packages))
    for name in (*LANGUAGES, "lua"):
        if name != "python" and name in options.languages:
            held = held_out_of(name, options.cache)
            found.append(Sources(name, name, {f.path: f.text for f in held}, {f.path: f.package for f in held}))
    for name, language, folder, pattern in OWN:
        if name in options.languages:
            paths = sorted((ROOT / folder).rglob(pattern))
            texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
            found.append(Sources(name, language, texts, dict.fromkeys(texts, folder)))
    return found


def places_of(sources: Sources, count: int, seed: int) -> list[Place]:
    """The places of a seed; those in Python by its tokenizer, which tells code from docstrings."""
    return (
        line_places(sources_files(sources), count, seed)
        if sources.language == "python"
        else text_places(sources.files, count, seed)
    )


def sources_files(sources: Sources) -> list[python_places.SourceFile]:
    """The files as places are drawn from."""
    return [python_places.SourceFile(sources.packages[path], path, text) for path, text in sources.files.items()]


if __name__ == "__main__":
    main()
