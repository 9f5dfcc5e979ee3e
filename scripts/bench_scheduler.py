"""The near-saturation tables of docs/benchmarks.md: policies over several seeds, in virtual time, as Markdown.

    python scripts/bench_scheduler.py --out results/ --rate 1.0 --seeds 11,12,13,14,15

Figures of seeds that are in the folder already are read, not computed again. Some minutes a seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def of_kind(kind: str, name: str) -> Callable[[Figures], float | None]:
    """Reads a figure of one kind of task."""
    return lambda figures: figures["kinds"][kind].get(name)


COLUMNS: dict[str, tuple[Callable[[Figures], float | None], str]] = {
    "goodput/s": (lambda f: f["goodput_per_s"], "{:.2f}"),
    "met: compl.": (of_kind("completion", "attained"), "{:.1%}"),
    "gener.": (of_kind("generation", "attained"), "{:.1%}"),
    "summ.": (of_kind("summarization", "attained"), "{:.1%}"),
    "transl.": (of_kind("translation", "attained"), "{:.1%}"),
    "compl. TTFT P50": (of_kind("completion", "ttft_p50"), "{:.3f}"),
    "P90": (of_kind("completion", "ttft_p90"), "{:.3f}"),
    "P95": (of_kind("completion", "ttft_p95"), "{:.3f}"),
    "gener. TTFT P95": (of_kind("generation", "ttft_p95"), "{:.3f}"),
    "summ. E2E P95": (of_kind("summarization", "e2e_p95"), "{:.2f}"),
    "transl. E2E P95": (of_kind("translation", "e2e_p95"), "{:.1f}"),
    "makespan": (lambda f: f.get("makespan_s"), "{:.1f}"),
}
ASKED = {
    "goodput/s": "goodput, ≥ 1.30",
    "P90": "P90 TTFT of completions, ≤ 0.5",
    "P95": "P95 TTFT of completions, ≤ 0.8",
    "gener. TTFT P95": "P95 TTFT of generations, ≤ 0.5",
    "summ. E2E P95": "P95 E2E of summaries, ≤ 0.9",
    "transl. E2E P95": "P95 E2E of translations, ≤ 1.1",
    "makespan": "makespan, ≤ 1.02",
}
BOUND = "clairvoyant"
OURS = "cato"


def figures_of(folder: Path, rate: str, seed: str, policies: str) -> dict[str, Figures]:
    """Figures by policy, played now unless they are in the folder."""
    path = folder / f"r{rate}-s{seed}.json"
    if not path.exists():
        command = [sys.executable, "-m", "cato_lsp", "simulate", "--rate", rate, "--seed", seed]
        subprocess.run([*command, "--policies", policies, "--json", str(path)], check=True, stdout=subprocess.DEVNULL)
    return json.loads(path.read_text())["policies"]


def row(cells: list[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def mean_table(by_seed: list[dict[str, Figures]]) -> list[str]:
    """Every policy's figures, each the mean over the seeds."""
    lines = [row(["policy", *COLUMNS]), row(["---"] * (len(COLUMNS) + 1))]
    for name in by_seed[0]:
        cells = [f"**{name}**" if name == OURS else name]
        for read, form in COLUMNS.values():
            values = [value for figures in by_seed if (value := read(figures[name])) is not None]
            cells.append(form.format(statistics.mean(values)) if values else "–")
        lines.append(row(cells))
    return lines


def ratio_table(seeds: list[str], by_seed: list[dict[str, Figures]]) -> list[str]:
    """Ours against the best baseline in each column, per seed, their mean and median."""
    lines = [row(["asked", *(f"seed {seed}" for seed in seeds), "mean", "median"])]
    lines.append(row(["---"] * (len(seeds) + 3)))
    rows: dict[str, list[float]] = {"goodput, of the clairvoyant bound, ≥ 0.92": []}
    rows |= {title: [] for title in ASKED.values()}
    for figures in by_seed:
        rivals = [each for name, each in figures.items() if name not in (OURS, BOUND)]
        bound = figures[BOUND]["goodput_per_s"]
        rows["goodput, of the clairvoyant bound, ≥ 0.92"].append(figures[OURS]["goodput_per_s"] / bound)
        for column, title in ASKED.items():
            read = COLUMNS[column][0]
            values = [value for each in rivals if (value := read(each)) is not None]
            best = max(values) if column == "goodput/s" else min(values)
            ours = read(figures[OURS])
            assert ours is not None
            rows[title].append(ours / best)
    for title, ratios in rows.items():
        cells = [
            f"{ratio:.2f}" if "makespan" not in title and "bound" not in title else f"{ratio:.3f}"
            for ratio in [*ratios, statistics.mean(ratios), statistics.median(ratios)]
        ]
        lines.append(row([title, *cells]))
    return lines


def main() -> None:
    """Play, or read, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rate", default="1.0")
    parser.add_argument("--seeds", default="11,12,13,14,15")
    parser.add_argument("--policies", default=f"baselines,{OURS},{BOUND}")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    seeds = options.seeds.split(",")
    by_seed = [figures_of(options.out, options.rate, seed, options.policies) for seed in seeds]
    print("\n".join(mean_table(by_seed)))
    if OURS in by_seed[0] and BOUND in by_seed[0]:
        print("\n".join(["", *ratio_table(seeds, by_seed)]))


if __name__ == "__main__":
    main()
