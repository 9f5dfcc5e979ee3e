#!/usr/bin/env python3
"""Whether a model completes better if it is told of other files: the definitions of what a file imports.

    PYTHONPATH=. python scripts/eval_context.py cato_lsp/models/default [--places 200] [--tokens 400]

Places are those of scripts/eval_model.py whose file imports something of the installed packages; what the model is told
is what the server would gather there. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sysconfig
from functools import partial
from pathlib import Path

import anyio
from evaluation.concurrency import each
from evaluation.measures import edit_similarity
from evaluation.places import Place, line_places
from evaluation.product import ProductModel, served
from training.corpus import held_out_files

from cato_lsp.orchestrator.context import Contexts
from cato_lsp.tasks.context import FileContext
from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.tasks.fim import NO_CONTEXT
from cato_lsp.tasks.snapshot import Snapshot


async def measure(folder: Path, places: list[Place], site: Path, tokens: int) -> list[str]:
    """The rows of the table."""
    contexts = [await gathered(place, site) for place in places]
    told = [(place, context) for place, context in zip(places, contexts, strict=True) if context.chunks]
    rows: list[str] = []
    async with served(folder, tokens) as model:
        for name, shown in ((f"definitions of imports, {tokens} tokens", True), ("nothing", False)):
            texts = await each(told, partial(complete, model, shown=shown))
            rests = [text[place.offset :].partition("\n")[0] for text, (place, _) in zip(texts, told, strict=True)]
            pairs = [(rest.rstrip(), place.wanted.rstrip()) for rest, (place, _) in zip(rests, told, strict=True)]
            exact = sum(rest == wanted for rest, wanted in pairs) / len(pairs)
            similar = sum(edit_similarity(rest, wanted) for rest, wanted in pairs) / len(pairs)
            rows.append(f"| {name} | {len(pairs)} | {exact:.1%} | {similar:.3f} |")
    return rows


async def complete(model: ProductModel, told: tuple[Place, FileContext], *, shown: bool) -> str:
    """The file with the completion accepted."""
    place, context = told
    return await model.complete(place, context=context if shown else NO_CONTEXT)


async def gathered(place: Place, site: Path) -> FileContext:
    """What the server would tell the model at a place."""
    contexts = Contexts()
    contexts.open_folders("evaluation", [site])
    snapshot = Snapshot((site / place.path).as_uri(), "python", 1, place.text)
    return await contexts.gather("evaluation", snapshot, place.offset, Exclusion())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="Hugging Face model folder")
    parser.add_argument("--places", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--site-packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    options = parser.parse_args()
    places = line_places(held_out_files(options.site_packages), options.places)
    rows = anyio.run(measure, options.model.resolve(), places, options.site_packages.resolve(), options.tokens)
    print("\n".join(["| told of other files | places | exact | edit similarity |", "|---|---|---|---|", *rows]))


if __name__ == "__main__":
    main()
