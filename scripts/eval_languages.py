#!/usr/bin/env python3
"""Compare models on held-out packages of each language by reading, which takes minutes where nothing is generated.

    .venv/bin/python scripts/eval_languages.py cato_lsp/models/default OTHER_MODEL

Every model reads the same rows of held-out files from left to right. Reported are nats per token, and the share of
lines whose rest it completes: each line of code is cut at a random border of two tokens, and each token after it must
be the most probable one, given those before it; the line end may be any. Greedy decoding without the text after the
cursor writes these lines. scripts/eval_model.py measures completions through the product. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sysconfig
from itertools import pairwise
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F  # noqa: N812
from tokenizers import Tokenizer
from torch import Tensor
from training.corpus import SourceFile, held_out_files, held_out_of
from training.export import read_weights
from training.model import CausalLM, compute_dtype
from training.routes import ROUTES
from training.samples import Encoder
from training.sources import LANGUAGES

ROOT = Path(__file__).resolve().parent.parent
_CONTEXT = 128
"""Tokens of a row that are read before the first line that counts."""
_COMMENTS = ("#", "//", "*", "/*")


def rows_of(files: list[SourceFile], encode: Encoder, count: int, length: int, seed: int) -> list[Tensor]:
    """One row of ``length`` tokens from a random line on, of each of ``count`` random files that are long enough."""
    rng = Random(seed)
    rows: list[Tensor] = []
    for file in rng.sample(files, len(files)):
        start = file.text.rfind("\n", 0, rng.randrange(len(file.text))) + 1
        ids = encode(file.text[start : start + 8 * length])
        if len(ids) >= length:
            rows.append(torch.tensor(ids[:length]))
        if len(rows) == count:
            break
    return rows


def rests_of_lines(row: Tensor, texts: list[str], is_end: Tensor) -> list[slice]:
    """For each line of code the tokens from a random place in it on, to the token of the line end."""
    ends = is_end[row].nonzero().flatten().tolist()
    rng = Random(int(row.sum()))
    rests: list[slice] = []
    for previous, end in pairwise(ends):
        line = "".join(texts[number] for number in row[previous + 1 : end].tolist())
        if previous >= _CONTEXT and end - previous > 2 and not line.startswith(_COMMENTS):
            rests.append(slice(rng.randrange(previous + 2, end), end + 1))
    return rests


@torch.inference_mode()
def read(model: CausalLM, row: Tensor, rests: list[slice], is_end: Tensor) -> tuple[float, list[bool]]:
    """Mean nats per token, and whether the rest of each line is completed."""
    states, embedding = model.hidden(row[None, :-1], compute_dtype(row.device))
    logits = (states[0] @ embedding.T).float()
    best = logits.argmax(-1)
    right = (best == row[1:]) | (is_end[best] & is_end[row[1:]])
    return float(F.cross_entropy(logits, row[1:])), [bool(right[r.start - 1 : r.stop - 1].all()) for r in rests]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", help="folders with the bundled model's tokenizer and shape")
    parser.add_argument("--rows", type=int, default=24, help="rows of each language")
    parser.add_argument("--length", type=int, default=640, help="tokens of a row")
    parser.add_argument("--seed", type=int, default=7, help="which rows")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "model")
    parser.add_argument("--site-packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    options = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(options.models[0] / "tokenizer.json"))
    encode, texts = Encoder(tokenizer), [tokenizer.decode([i]) for i in range(tokenizer.get_vocab_size())]
    is_end = torch.tensor(["\n" in text for text in texts])
    models = [CausalLM(ROUTES["cpu-languages"].shape) for _ in options.models]
    for model, folder in zip(models, options.models, strict=True):
        read_weights(model, folder)
    print("| language | lines | " + " | ".join(f"{f}: nats | lines completed" for f in options.models) + " |")
    print("|---|---|" + "---|---|" * len(models))
    for language in LANGUAGES:
        files = held_out_files(options.site_packages) if language == "python" else held_out_of(language, options.cache)
        rows = rows_of(files, encode, options.rows, options.length, options.seed)
        rests = [rests_of_lines(row, texts, is_end) for row in rows]
        cells: list[str] = []
        for model in models:
            read_rows = [read(model, row, rest, is_end) for row, rest in zip(rows, rests, strict=True)]
            done = [completed for _, row in read_rows for completed in row]
            cells += [f"{sum(nats for nats, _ in read_rows) / len(rows):.3f}", f"{sum(done) / len(done):.1%}"]
        print(f"| {language} | {sum(map(len, rests))} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
