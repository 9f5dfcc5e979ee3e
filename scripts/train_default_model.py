#!/usr/bin/env python3
"""Train the default model: corpus, tokenizer, training, Hugging Face folder.

    .venv/bin/python scripts/train_default_model.py --route cpu
    .venv/bin/python scripts/train_default_model.py --route cpu-languages --start cato_lsp/models/default
    .venv/bin/python scripts/train_default_model.py --route gpu --pause-after 9
    .venv/bin/python scripts/train_default_model.py --licences    # the table of the corpus in docs/default-model.md

A second call resumes from the last checkpoint; ``--start`` trains a finished model further, with its tokenizer.
See docs/default-model.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import sysconfig
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from tokenizers import Tokenizer
from training.corpus import Corpus, SourceFile, licence_table, load_corpus
from training.export import export_model, read_average, read_weights, save_snapshot
from training.functions import TaskSamples, load_examples
from training.model import CausalLM
from training.routes import ROUTES, Route
from training.samples import CodeSamples, Encoder, Mixture, SampleSource
from training.tokenizer import train_tokenizer
from training.trainer import Trainer

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOTS = "snapshots"


def main() -> None:
    """Run all steps; what a former run finished is taken from the cache."""
    options = parse_options()
    if options.licences:
        print(licence_table(options.site_packages, options.cache))
        return
    route = ROUTES[options.route]
    corpora = {language: load_corpus(options.site_packages, options.cache, language) for language in route.shares}
    if options.start:
        tokenizer = Tokenizer.from_file(str(options.start / "tokenizer.json"))
    else:
        tokenizer = load_tokenizer(corpora["python"], options.cache, route.shape.vocab_size)
    trainer = make_trainer(options, route, corpora, Encoder(tokenizer))
    if options.average:
        read_average(trainer.model, trainer.folder / SNAPSHOTS, options.average)
    else:
        train(trainer, tokenizer, options.pause_after, compiled=options.compile)
    export_model(trainer.model, tokenizer, options.output or trainer.folder / "export")


def make_trainer(options: argparse.Namespace, route: Route, corpora: Mapping[str, Corpus], encode: Encoder) -> Trainer:
    """A trainer at the last checkpoint of this run, if there is one."""
    changes = {name: value for name in ("minutes", "seed") if (value := getattr(options, name)) is not None}
    trainer = Trainer(
        route.shape,
        replace(route.plan, **changes),
        samples(corpora, route, encode, options.cache),
        {name: held_out_rows(corpus, encode, 16 if name == "python" else 4) for name, corpus in corpora.items()},
        options.cache / options.name,
        markers=encode.markers,
        threads=options.threads,
    )
    if options.start and not trainer.checkpoint.exists():
        read_weights(trainer.model, options.start)
    return trainer


def train(trainer: Trainer, tokenizer: Tokenizer, pause_after: float, *, compiled: bool) -> None:
    """Train to the end of the plan, until SIGTERM, or for ``pause_after`` minutes if that is not zero."""

    def keep(model: CausalLM) -> None:
        save_snapshot(model, trainer.progress.step, trainer.folder / SNAPSHOTS)
        export_model(model, tokenizer, trainer.folder / "export")

    for ending in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(ending, lambda *_: trainer.stop())
    signal.setitimer(signal.ITIMER_REAL, 60 * pause_after)
    trainer.run(on_save=keep, say=lambda line: print(line, flush=True), compiled=compiled)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--route", choices=sorted(ROUTES), default="gpu" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--name", default="run", help="folder of this run below the cache")
    parser.add_argument("--minutes", type=float, help="training time, in place of the route's own length")
    parser.add_argument(
        "--pause-after",
        type=float,
        default=0.0,
        help="stop after this many minutes with a checkpoint; run again to continue",
    )
    parser.add_argument("--seed", type=int, help="another one for each run that starts from the model of the last one")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="--no-compile for runs too short to earn the minutes that torch.compile takes",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "model")
    parser.add_argument("--site-packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--start", type=Path, help="a model folder of the same shape to begin with")
    parser.add_argument("--average", type=int, help="only write the mean of the weights of the last N checkpoints")
    parser.add_argument("--output", type=Path, help="where the finished Hugging Face folder goes")
    parser.add_argument("--licences", action="store_true", help="only print what the corpus is made of")
    return parser.parse_args()


def samples(corpora: Mapping[str, Corpus], route: Route, encode: Encoder, cache: Path) -> Mixture:
    """Samples of each language with its share; those of Python include the tasks."""
    python = corpora["python"].train
    examples = load_examples(balanced(python, 1_000_000), python, cache / "examples.jsonl")
    sources: dict[str, SampleSource] = {name: CodeSamples(corpus.train, encode) for name, corpus in corpora.items()}
    code = sources["python"]
    tasks = [TaskSamples(examples, kind, code, encode) for kind in route.tasks]
    shares = list(route.tasks.values())
    sources["python"] = Mixture([code, *tasks], [1 - sum(shares), *shares])
    return Mixture(list(sources.values()), [route.shares[name] for name in sources])


def load_tokenizer(corpus: Corpus, cache: Path, vocab_size: int) -> Tokenizer:
    """The tokenizer, trained on at most 1.2 MB of each training package."""
    path = cache / f"tokenizer-{vocab_size}.json"
    if not path.exists():
        train_tokenizer((f.text for f in balanced(corpus.train, 1_200_000)), vocab_size).save(str(path))
    return Tokenizer.from_file(str(path))


def balanced(files: list[SourceFile], most: int) -> list[SourceFile]:
    """Files of at most ``most`` characters a package, in a fixed random order."""
    shuffled = sorted(files, key=lambda f: f.path)
    Random(0).shuffle(shuffled)
    sizes: dict[str, int] = {}
    chosen: list[SourceFile] = []
    for file in shuffled:
        sizes[file.package] = sizes.get(file.package, 0) + len(file.text)
        if sizes[file.package] <= most:
            chosen.append(file)
    return chosen


def held_out_rows(corpus: Corpus, encode: Encoder, rows: int, length: int = 512) -> torch.Tensor:
    """Fixed windows of held-out files for the progress log."""
    files = sorted(corpus.held_out, key=lambda f: f.path)
    Random(1).shuffle(files)
    long_enough = (ids for file in files if len(ids := encode(file.text[: 16 * length])) > length)
    return torch.tensor([ids[: length + 1] for ids in islice(long_enough, rows)])


if __name__ == "__main__":
    main()
