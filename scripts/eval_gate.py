#!/usr/bin/env python3
"""How well a model's own probabilities tell its right suggestions from its wrong ones, on held-out packages.

    PYTHONPATH=. python scripts/eval_gate.py cato_lsp/models/default [--places 300] [--json FILE]

For each number of first tokens that are looked at and each threshold: the share of suggestions that would be held back,
and the share of the right ones among them. Right: the rest of the line, exactly. Prints a Markdown table, and what it
costs to ask for the probabilities. docs/default-model.md says which packages are held out.
"""

from __future__ import annotations

import argparse
import json
import math
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import anyio
from eval_model import each
from evaluation.places import Place, line_places
from evaluation.product import ProductModel, served
from training.corpus import held_out_files

FIRST_TOKENS = (1, 2, 4, 8, 999)
COSTED = 30
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One completion: how likely each of its tokens was to the model, and whether it was right."""

    log_probabilities: list[float]
    right: bool

    def confidence(self, first: int) -> float:
        """Geometric mean of the probabilities of the first tokens."""
        logs = self.log_probabilities[:first]
        return math.exp(sum(logs) / len(logs)) if logs else 1.0


async def measure(folder: Path, places: list[Place]) -> tuple[list[Suggestion], dict[str, float]]:
    """The suggestions that would be shown at the places, and seconds per token with and without probabilities."""
    async with served(folder) as model:
        found = await each(places, lambda place: suggest(model, place))
        seconds: dict[str, list[float]] = {"without": [], "with": []}
        for place in places[:COSTED]:
            await model.continue_text(place.text, 300, 1)
            for name, times in seconds.items():
                written, took = await model.continue_text(place.text, 300, 32, scored=name == "with")
                times.append(took / max(1, written))
    return [suggestion for suggestion in found if suggestion is not None], {n: median(t) for n, t in seconds.items()}


async def suggest(model: ProductModel, place: Place) -> Suggestion | None:
    """What is shown at a place; ``None``: nothing is."""
    logs: list[float] = []
    text = await model.complete(place, logs)
    if text == place.text:
        return None
    rest = text[place.offset :].partition("\n")[0]
    return Suggestion(logs, rest.rstrip() == place.wanted.rstrip())


def table(found: list[Suggestion]) -> str:
    """Shares by first tokens and threshold."""
    right = sum(each.right for each in found)
    lines = [
        f"{len(found)} suggestions shown, {right} of them right.",
        "",
        f"| first tokens | {' | '.join(f'below {threshold}' for threshold in THRESHOLDS)} |",
        "|---" * (1 + len(THRESHOLDS)) + "|",
    ]
    for first in FIRST_TOKENS:
        cells: list[str] = []
        for threshold in THRESHOLDS:
            held = [each for each in found if each.confidence(first) < threshold]
            lost = sum(each.right for each in held)
            cells.append(f"{len(held) / len(found):.0%} held, {lost / max(1, right):.0%} of the right")
        lines.append(f"| {'all' if first > 99 else first} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="Hugging Face model folder")
    parser.add_argument("--places", type=int, default=300)
    parser.add_argument("--site-packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    places = line_places(held_out_files(options.site_packages), options.places)
    found, seconds = anyio.run(measure, options.model.resolve(), places)
    print(table(found))
    print("\nms per token: " + ", ".join(f"{name} {1000 * value:.2f}" for name, value in seconds.items()))
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in found]), encoding="utf-8")


if __name__ == "__main__":
    main()
