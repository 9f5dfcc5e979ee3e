#!/usr/bin/env python3
"""Bodies, docstrings and translations of a model, as it wrote them and as the product offers them.

    .venv/bin/python scripts/eval_tasks.py cato_lsp/models/default [--tasks 60] [--seed 3] [--tuning]

Examples are drawn from the held-out packages of the corpus, or from those for tuning. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sysconfig
from pathlib import Path
from random import Random

import anyio
from evaluation.product import served
from evaluation.report import figures_table
from evaluation.tasks import measure_bodies, measure_docstrings, measure_translations
from training.corpus import TUNING, files_of_packages, held_out_files
from training.functions import build_examples


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="Hugging Face model folder")
    parser.add_argument("--tasks", type=int, default=60, help="examples of each task")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--tuning", action="store_true", help="use the packages that choices are tuned on")
    parser.add_argument("--site-packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    anyio.run(measure, parser.parse_args())


async def measure(options: argparse.Namespace) -> None:
    """Measure all tasks."""
    site = options.site_packages
    files = files_of_packages(site, TUNING) if options.tuning else held_out_files(site)
    examples = list(build_examples(files))
    async with served(options.model.resolve()) as model:
        figures = {}
        for kind, work in (
            ("summarize", measure_docstrings),
            ("generate", measure_bodies),
            ("translate", measure_translations),
        ):
            of_kind = [e for e in examples if e.kind == kind]
            figures |= await work(model, Random(options.seed).sample(of_kind, min(options.tasks, len(of_kind))))
    print(figures_table(str(options.model), figures, {}))


if __name__ == "__main__":
    main()
