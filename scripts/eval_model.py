#!/usr/bin/env python3
"""Measure a model folder on held-out packages, through the product's own engine and prompt builder.

    PYTHONPATH=. python scripts/eval_model.py cato_lsp/models/default --places 500 --json result.json

Prints a Markdown table. See docs/default-model.md for what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import sysconfig
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import TypeVar

import anyio
import psutil
from evaluation.baselines import FiveGram, copy_most_similar_line
from evaluation.measures import bits_per_byte, edit_similarity, is_one_sentence, mentions_identifier, parses
from evaluation.places import Place, block_places, line_places
from evaluation.product import ProductModel, served
from tokenizers import Tokenizer
from training.corpus import SourceFile, held_out_files, load_corpus
from training.functions import Example, build_examples
from training.javascript import node_accepts

from cato_lsp.tasks.prompts import summarize, translate

ROOT = Path(__file__).resolve().parent.parent
Figures = dict[str, float]
Item = TypeVar("Item")
Result = TypeVar("Result")


def main() -> None:
    """Measure and print."""
    options = parse_options()
    held_out = held_out_files(options.site_packages)
    result: dict[str, object] = {"model": options.model.name, "places": options.places}
    lines = line_places(held_out, options.places)
    if options.baselines:
        result["baselines"] = baselines(options, lines)
    figures, completions = anyio.run(measure_product, options, held_out, lines)
    figures["bits per byte"] = measure_bits_per_byte(options.model, held_out, options.files)
    result["figures"] = figures
    result["completions"] = completions
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(result))


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="Hugging Face model folder")
    parser.add_argument("--places", type=int, default=500, help="single-line places")
    parser.add_argument("--blocks", type=int, default=100, help="multi-line places")
    parser.add_argument("--tasks", type=int, default=100, help="examples of each task")
    parser.add_argument("--files", type=int, default=60, help="held-out files for bits per byte")
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--site-packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "model")
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
    """Exact match and edit similarity of what was put on the rest of each line."""
    pairs = [(answer.rstrip(), place.wanted.rstrip()) for answer, place in zip(answers, places, strict=True)]
    return {
        "single line: exact match": sum(a == w for a, w in pairs) / len(pairs),
        "single line: edit similarity": sum(edit_similarity(a, w) for a, w in pairs) / len(pairs),
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
    """Load time, memory, and the median time of 16 tokens after 500 tokens that the prefix cache does not know."""
    runs = [await model.continue_text(f.text, 500, 16) for f in Random(4).sample(files, 24) if len(f.text) > 4000]
    return {
        "load: seconds": model.load_seconds,
        "load: resident memory, GB": psutil.Process().memory_info().rss / 1e9,
        "16 tokens after 500: seconds": median(seconds for written, seconds in runs if written == 16),
    }


async def complete_line(model: ProductModel, place: Place) -> str:
    """What the completion put on the rest of the cursor's line."""
    return (await model.complete(place))[place.offset :].partition("\n")[0]


def block_figures(texts: Sequence[str], places: Sequence[Place]) -> Figures:
    """Share of files that still parse with a block completed, next to that with the block left out."""
    return {
        "blocks: file parses": sum(map(parses, texts)) / len(places),
        "blocks: file parses with nothing put in": sum(parses(p.text) for p in places) / len(places),
        "blocks: something shown": sum(t != p.text for t, p in zip(texts, places, strict=True)) / len(places),
    }


async def measure_docstrings(model: ProductModel, examples: Sequence[Example]) -> Figures:
    """Shares of docstrings that are one sentence, that end, and that speak of the function."""
    answers = await each(examples, lambda e: model.answer(summarize(e.prompt, "python"), 64))
    pairs = list(zip(answers, examples, strict=True))
    return {
        "docstring: one sentence": sum(is_one_sentence(text) for text, _ in answers) / len(pairs),
        "docstring: ends": sum(ended for _, ended in answers) / len(pairs),
        "docstring: mentions an identifier": sum(mentions_identifier(a[0], e.prompt) for a, e in pairs) / len(pairs),
    }


async def measure_translations(model: ProductModel, examples: Sequence[Example]) -> Figures:
    """Shares of translations to JavaScript that Node's parser accepts and that are the converter's own."""
    sources = [e.prompt.removeprefix("javascript\n") for e in examples]
    answers = await each(sources, lambda s: model.answer(translate(s, "python", "javascript"), 400))
    return {
        "JavaScript: parses": sum(node_accepts([text for text, _ in answers])) / len(examples),
        "JavaScript: exact": sum(a[0].strip() == e.answer for a, e in zip(answers, examples, strict=True))
        / len(examples),
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


async def each(items: Sequence[Item], work: Callable[[Item], Awaitable[Result]], at_once: int = 4) -> list[Result]:
    """The results of ``work`` on each item, a few at a time so that the engine can batch them."""
    results: dict[int, Result] = {}
    limit = anyio.Semaphore(at_once)

    async def run(index: int, item: Item) -> None:
        async with limit:
            results[index] = await work(item)

    async with anyio.create_task_group() as group:
        for index, item in enumerate(items):
            group.start_soon(run, index, item)
    return [results[index] for index in range(len(items))]


def table(result: dict[str, object]) -> str:
    """The figures as a Markdown table, the baselines beside the model."""
    figures = result["figures"]
    others = result.get("baselines", {})
    assert isinstance(figures, dict)
    assert isinstance(others, dict)
    rows = [["measure", str(result["model"]), *others], ["---"] * (2 + len(others))]
    for name, value in figures.items():
        rows.append([name, f"{value:.3f}", *(f"{o[name]:.3f}" if name in o else "" for o in others.values())])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
