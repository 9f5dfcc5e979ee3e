#!/usr/bin/env python3
"""Measure a model folder on held-out packages, through the product's own engine and prompt builder.

    .venv/bin/python scripts/eval_model.py cato_lsp/models/default --json result.json

Prints Markdown: a table of figures, the first completions as they came, and what a person sees while typing and when
asking, for each language, without and with the cache model over the package (as scripts/eval_typing.py). See
docs/default-model.md for what the figures mean.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import fmean, median

import anyio
from eval_typing import measure as measure_typing
from evaluation.baselines import FiveGram, copy_most_similar_line
from evaluation.concurrency import each
from evaluation.measures import bits_per_byte, edit_similarity, parses
from evaluation.places import SEED, Place, block_places, line_places
from evaluation.product import ProductModel, served
from evaluation.report import Figures, completions_table, figures_table
from evaluation.server import measure_server
from evaluation.tasks import measure_bodies, measure_docstrings, measure_translations
from evaluation.typing import Shown
from tokenizers import Tokenizer
from training.corpus import SourceFile, held_out_files, load_corpus
from training.functions import Example, build_examples
from training.sources import LANGUAGES

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Measure and print."""
    options = parse_options()
    held_out = held_out_files(options.site_packages)
    lines = line_places(held_out, options.places)
    others = baselines(options, lines) if options.baselines else {}
    figures = {"bits per byte": 0.0, **asyncio.run(measure_server(options.model.resolve(), lines[:20]))}
    answers, completions = anyio.run(measure_product, options, held_out, lines)
    figures |= answers
    figures["bits per byte"] = measure_bits_per_byte(options.model, held_out, options.files)
    if options.json:
        result = {"model": str(options.model), "figures": figures, "baselines": others, "completions": completions}
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(figures_table(str(options.model), figures, others))
    print(f"\n{completions_table(completions[:10])}\n")
    options.places = options.typing_places
    anyio.run(measure_typing, options)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="Hugging Face model folder")
    parser.add_argument("--places", type=int, default=500, help="single-line places")
    parser.add_argument("--typing-places", type=int, default=60, help="places while typing, per language")
    parser.add_argument("--languages", nargs="*", default=["Python", *LANGUAGES[1:]], help="languages while typing")
    parser.add_argument("--blocks", type=int, default=60, help="multi-line places")
    parser.add_argument("--tasks", type=int, default=60, help="examples of each task")
    parser.add_argument("--files", type=int, default=30, help="held-out files for bits per byte")
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--site-packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "model")
    parser.set_defaults(seed=SEED, traces=None)
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    return parser.parse_args()


def baselines(options: argparse.Namespace, places: Sequence[Place]) -> dict[str, Figures]:
    """Single-line figures of both baselines; the 5-grams are counted on a thousand training files."""
    files = load_corpus(options.site_packages, options.cache).train
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    five_gram = FiveGram(tokenizer, [file.text for file in Random(0).sample(files, min(1000, len(files)))])
    return {
        "copy the most similar line": line_figures([copy_most_similar_line(p) for p in places], places),
        "5-gram": line_figures([five_gram(p) for p in places], places),
    }


def line_figures(answers: Sequence[str], places: Sequence[Place]) -> Figures:
    """How good the rests of lines are, of all places and by where the cursor stands."""
    pairs = [(answer.rstrip(), place.wanted.rstrip()) for answer, place in zip(answers, places, strict=True)]
    right = [answer == wanted for answer, wanted in pairs]
    within = [place.within_word for place in places]
    return {
        "rest of a line: exact match": fmean(right),
        "… with the cursor in a word": fmean(r for r, w in zip(right, within, strict=True) if w),
        "… with the cursor between words": fmean(r for r, w in zip(right, within, strict=True) if not w),
        "rest of a line: edit similarity": fmean(edit_similarity(answer, wanted) for answer, wanted in pairs),
        **shown_figures(answers, places),
        "rest of a line: right, but too short": fmean(bool(a) and w.startswith(a) and a != w for a, w in pairs),
        "rest of a line: right, but too long": fmean(a.startswith(w) and a != w for a, w in pairs),
    }


def shown_figures(answers: Sequence[str], places: Sequence[Place]) -> Figures:
    """What a person sees who asks."""
    sums = Shown()
    for answer, place in zip(answers, places, strict=True):
        sums.add(answer, place, 0)
    return {
        "rest of a line: something shown": sums.shown / sums.places,
        "rest of a line: right of shown": sums.right / max(1, sums.shown),
        "rest of a line: right characters per place": sums.right_characters / sums.places,
        "rest of a line: wrong characters per place": sums.wrong_characters / sums.places,
    }


async def measure_product(
    options: argparse.Namespace, files: Sequence[SourceFile], lines: Sequence[Place]
) -> tuple[Figures, list[dict[str, str]]]:
    """Everything that the engine answers; also the completions themselves."""
    blocks = block_places(files, options.blocks)
    examples = list(build_examples(files))
    async with served(options.model.resolve()) as model:
        speed = await measure_speed(model, files)
        rests = await each(lines, lambda place: complete_line(model, place))
        figures = line_figures(rests, lines)
        texts = await each(blocks, model.complete)
        figures |= block_figures(texts, blocks)
        figures |= await measure_docstrings(model, some(examples, "summarize", options.tasks))
        figures |= await measure_bodies(model, some(examples, "generate", options.tasks))
        figures |= await measure_translations(model, some(examples, "translate", options.tasks))
    inserted = [t[p.offset : len(t) - len(p.text) + p.offset] for t, p in zip(texts, blocks, strict=True)]
    return figures | speed, [*shown(rests, lines), *shown(inserted, blocks)]


def shown(answers: Sequence[str], places: Sequence[Place]) -> list[dict[str, str]]:
    """Completions with what stood at their places, for a person to read."""
    return [
        {"path": p.path, "line": p.line, "wanted": p.wanted, "completion": a}
        for p, a in zip(places, answers, strict=True)
    ]


async def measure_speed(model: ProductModel, files: Sequence[SourceFile]) -> Figures:
    """The median time of 16 tokens after 500 tokens that the prefix cache does not know."""
    runs = [await model.continue_text(f.text, 500, 16) for f in Random(4).sample(files, 24) if len(f.text) > 4000]
    return {
        "16 tokens after 500 uncached tokens, seconds": median(seconds for written, seconds in runs if written == 16)
    }


async def complete_line(model: ProductModel, place: Place) -> str:
    """What the completion put on the rest of the cursor's line."""
    return (await model.complete(place))[place.offset :].partition("\n")[0]


def block_figures(texts: Sequence[str], places: Sequence[Place]) -> Figures:
    """Share of files that still parse with a block completed, next to that with the block left out."""
    return {
        "rest of a block: file parses": sum(map(parses, texts)) / len(places),
        "… with nothing put in": sum(parses(p.text) for p in places) / len(places),
        "rest of a block: something shown": sum(t != p.text for t, p in zip(texts, places, strict=True)) / len(places),
    }


def measure_bits_per_byte(folder: Path, files: Sequence[SourceFile], count: int) -> float:
    """Bits per byte of ``count`` fixed random held-out files, at most 20 kB of each."""
    import torch
    from transformers import AutoModelForCausalLM

    chosen = sorted(files, key=lambda f: f.path)
    Random(2).shuffle(chosen)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return bits_per_byte(model, tokenizer, [f.text[:20_000] for f in chosen[:count]])


def some(examples: Sequence[Example], kind: str, count: int) -> list[Example]:
    """A fixed random choice of the examples of a kind."""
    of_kind = [e for e in examples if e.kind == kind]
    return Random(3).sample(of_kind, min(count, len(of_kind)))


if __name__ == "__main__":
    main()
