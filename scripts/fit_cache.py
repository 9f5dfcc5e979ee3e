#!/usr/bin/env python3
"""Fit the score of tokens in cato_lsp/engine/cache_mixing.py: the probability that a token is right.

    .venv/bin/python scripts/fit_cache.py cato_lsp/models/default [--places 100]

Completions of the model with the cache model are recorded at tuning places: packages that are in no other measurement.
The tokens that continue what stood there, and the first that does not, are the data of a logistic regression on the
log-odds of the token before and after the mixing. Prints the constants.
"""

from __future__ import annotations

import argparse
import re
import sysconfig
from pathlib import Path

import anyio
import numpy as np
from eval_typing import places_of
from evaluation.concurrency import each
from evaluation.typing import Recorder, Sources, Trace
from numpy.typing import NDArray
from training.corpus import TUNING, SourceFile, files_of_archives, files_of_packages
from training.sources import LANGUAGES

from cato_lsp.config import CompletionSettings, EngineSettings
from cato_lsp.engine import cache_mixing
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.thread import EngineThread
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.tasks.tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
OTHERS = frozenset(
    re.findall(
        r"\S+",
        """mobx ajv cheerio redux winston luxon ws golang-github-spf13-viper golang-github-rs-zerolog-dev
        librust-url-dev librust-csv-dev libcommons-collections4-java picocli cjson hiredis pugixml tinyxml2 snappy""",
    )
)
"""Packages on the training side of the other languages. The bundled weights have read none of these languages."""
WEIGHT_OF_WRONG = 3.0
"""A wrong token weighs more than a right one: text that is wrong costs a reader more than text that is missing."""
PYTHON_SHARE = 2.0
"""Weight of Python, where each other language has 1."""
SEED = 903

Seen = dict[float, tuple[float, float]]
"""By the score of a token: its log-odds before and after the mixing."""
Rows = NDArray[np.float64]


def main() -> None:
    """Record, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="Hugging Face model folder")
    parser.add_argument("--places", type=int, default=100, help="per language; four times as many in Python")
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES))
    parser.add_argument("--site-packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "model")
    options = parser.parse_args()
    rows = anyio.run(record, options)
    print(f"{len(rows)} tokens, {rows[:, 3].mean():.1%} right")
    weights = rows[:, 4] * np.where(rows[:, 3] > 0, 1.0, WEIGHT_OF_WRONG)
    fitted = logistic(rows[:, :3], rows[:, 3], weights)
    print("_INTERCEPT, _OWN, _MIXED = " + ", ".join(f"{value:.2f}" for value in fitted))


async def record(options: argparse.Namespace) -> Rows:
    """A row for each token: 1, both log-odds, whether it is right, and its weight."""
    seen = spy()
    engine = EngineThread(Launch(options.model.resolve(), EngineSettings(threads=1)))
    await engine.start()
    rows: list[tuple[float, ...]] = []
    try:
        prompter = await Prompters().completion(engine.folder, CompletionSettings(), engine.context_length)
        recorder = Recorder(engine, prompter, Tokenizer.from_folder(options.model).encode)
        for language in options.languages:
            sources = tuning_sources(language, options)
            count = options.places * (4 if language == "python" else 1)
            places = places_of(sources, count, SEED)
            traces = await each(places, lambda place, s=sources: recorder.record(place, s, workspace=True))
            found = [row for trace in traces for row in tokens_of(trace, seen)]
            share = (PYTHON_SHARE if language == "python" else 1.0) / max(1, len(found))
            rows += [(1.0, *row, share) for row in found]
    finally:
        engine.stop()
        await engine.wait_closed()
    return np.array(rows)


def spy() -> Seen:
    """Have the logits processor note what it scores."""
    seen: Seen = {}
    score = cache_mixing.log_score

    def noted(own: float, mixed: float) -> float:
        result = score(own, mixed)
        seen[result] = cache_mixing.log_odds(own), cache_mixing.log_odds(mixed)
        return result

    cache_mixing.log_score = noted
    return seen


def tuning_sources(language: str, options: argparse.Namespace) -> Sources:
    """The files of the tuning packages."""
    files: list[SourceFile] = (
        files_of_packages(options.site_packages, TUNING)
        if language == "python"
        else files_of_archives(language, options.cache, OTHERS)
    )
    return Sources(language, language, {f.path: f.text for f in files}, {f.path: f.package for f in files})


def tokens_of(trace: Trace, seen: Seen) -> list[tuple[float, float, float]]:
    """Both log-odds of each token that the cache knew of, and whether it is right; up to the first that is wrong."""
    wanted = trace.place.wanted.rstrip()
    has_blank = trace.place.line[-1:].isspace()
    rows: list[tuple[float, float, float]] = []
    text = ""
    for delta, _, score, reason in trace.deltas:
        text += delta
        written = text.removeprefix(" ") if has_blank else text
        ended = "\n" in written or reason == "stop"
        right = written.partition("\n")[0].rstrip() == wanted if ended else wanted.startswith(written)
        if score in seen:
            rows.append((*seen[score], float(right)))
        if not right or ended:
            break
    return rows


def logistic(inputs: Rows, right: Rows, weights: Rows) -> Rows:
    """The weights of a logistic regression, by Newton's method."""
    fitted = np.zeros(inputs.shape[1])
    for _ in range(30):
        expected = 1 / (1 + np.exp(-inputs @ fitted))
        gradient = inputs.T @ (weights * (expected - right))
        curvature = (inputs * (weights * expected * (1 - expected))[:, None]).T @ inputs
        fitted -= np.linalg.solve(curvature, gradient)
    return fitted


if __name__ == "__main__":
    main()
