#!/usr/bin/env python3
"""HumanEval-Infilling through the product: exact match, and the share of programs that pass their tests.

    .venv/bin/python scripts/eval_infilling.py cato_lsp/models/default FILE.jsonl.gz... [--problems 100]

The files are ``single_line.jsonl.gz`` and ``random_span_light.jsonl.gz`` of the benchmark (MIT, Bavarian et al.,
arXiv:2207.14255). Whole suggestions are taken, as a person gets them who asks. Programs run in a sandbox.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from random import Random
from statistics import fmean

import anyio
import anyio.to_thread
from evaluation.concurrency import each
from evaluation.places import Place
from evaluation.product import ProductModel, served
from evaluation.sandbox import succeeds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="Hugging Face model folder")
    parser.add_argument("files", type=Path, nargs="+", help="problems, as the benchmark publishes them")
    parser.add_argument("--problems", type=int, help="of each file, drawn by a fixed seed; unset: all")
    options = parser.parse_args()
    anyio.run(measure, options)


async def measure(options: argparse.Namespace) -> None:
    """A row for each file."""
    async with served(options.model.resolve()) as model:
        print("| problems | number | exact match | pass rate |\n|---|---|---|---|")
        for file in options.files:
            problems = read(file, options.problems)
            results = await each(problems, lambda problem: solve(model, problem), at_once=2)
            exact, passed = fmean(exact for exact, _ in results), fmean(passed for _, passed in results)
            print(f"| {file.name.split('.')[0]} | {len(problems)} | {exact:.1%} | {passed:.1%} |", flush=True)


def read(file: Path, count: int | None) -> list[dict[str, str]]:
    """The problems of a file, or a fixed random choice of them."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        problems = [json.loads(line) for line in lines]
    return problems if count is None else Random(1).sample(problems, min(count, len(problems)))


async def solve(model: ProductModel, problem: dict[str, str]) -> tuple[bool, bool]:
    """Whether the solution is the canonical one, and whether it passes."""
    prompt, wanted, suffix = problem["prompt"], problem["canonical_solution"], problem["suffix"]
    # In an editor the line that is missing is there and empty, where the benchmark's solutions end in a line feed.
    rest = "\n" + suffix if wanted.endswith("\n") else suffix
    whole = await model.complete(Place("solution.py", prompt + rest, len(prompt), wanted))
    exact = whole.split() == f"{prompt}{wanted}{suffix}".split()
    program = f"{whole}\n{problem['test']}\ncheck({problem['entry_point']})\n"
    return exact, await anyio.to_thread.run_sync(succeeds, program)


if __name__ == "__main__":
    main()
