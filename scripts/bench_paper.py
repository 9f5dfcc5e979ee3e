"""The experiment of the CATO paper (arXiv 2503.19876) on two replicas, in virtual time, as a Markdown table.

    python scripts/bench_paper.py --seeds 31,32,33,34,35,36,37,38

As in the paper's summary: all four kinds of task at once, 100 to 200 calls in 60 s, against round robin and Ray Serve,
both with stock vLLM. The paper publishes neither deadlines, lengths nor machines, so these are ours: as many calls of
each kind, lengths as in the mix of `cato-lsp simulate`, and a profile that is slowed until two replicas need 60 s to
compute 167 calls, without any fixed cost of a step.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from bench_fleet import mean_and_error

from cato_lsp.bench.capacity import attainment, highest_rate
from cato_lsp.bench.fleet_plan import FleetPlan, slowed
from cato_lsp.bench.hardware import load_profile
from cato_lsp.bench.metrics import run_summary
from cato_lsp.bench.poisson import MIX, mix_calls
from cato_lsp.bench.result import Run
from cato_lsp.bench.simulate import simulate_fleet
from cato_lsp.bench.workload import Workload

REPLICAS = 2
SECONDS = 60.0
CALLS = 167
"""In `SECONDS`, at 100 % load."""
SLOWED = 6.5
"""Factor on the times of the profile; see above."""
SLA_SCALE = 4.0
"""Deadlines: 0.8 s (completion), 2 s (generation), 24 s (summary), 180 s (translation)."""
LOADS = (0.5, 0.8, 1.0, 1.2)
STOCK = ("fcfs/round-robin", "fcfs/power-of-two")
PROFILE = slowed(load_profile("h200-qwen2.5-coder-7b"), SLOWED)
KINDS = tuple(replace(kind, per_second=CALLS / SECONDS / len(MIX)) for kind in MIX)

FIGURES: dict[str, tuple[str, Callable[[dict[str, Any]], float], int]] = {
    "goodput": ("deadlines met per s", lambda f: f["goodput_per_s"], 2),
    "busy": ("machines busy", lambda f: f["utilization"], 3),
    "summaries": ("P95 E2E of summaries, s", lambda f: f["kinds"]["summarization"]["e2e_p95"], 2),
    "generation": ("P95 TTFT of generation, s", lambda f: f["kinds"]["generation"]["ttft_p95"], 3),
}
PAPER = {"goodput": "+10 %", "busy": "+41 %", "summaries": "−18 %", "generation": "−14 %"}


def play(pair: str, load: float, seed: int) -> Run:
    """Play one run at a part of what the replicas can do."""
    calls = mix_calls(KINDS, rate=load, seed=seed, duration=SECONDS)
    workload = Workload("paper", calls, SECONDS, SLA_SCALE)
    policy, router = pair.split("/")
    (run,) = simulate_fleet(workload, [policy], [router], FleetPlan(REPLICAS), PROFILE)
    return run


def capacity(pair: str, seed: int) -> float:
    """The highest load at which 90 % of the deadlines are met."""
    return highest_rate(lambda load: attainment(play(pair, load, seed)), 0.9, precision=0.04)


def change(ours: Iterable[float], theirs: Iterable[float]) -> str:
    """The mean change in percent and its standard error, paired by seed."""
    changes = [100 * (a / b - 1) for a, b in zip(ours, theirs, strict=True)]
    error = f" ± {statistics.stdev(changes) / math.sqrt(len(changes)):.0f}" if len(changes) > 1 else ""
    return f"{statistics.mean(changes):+.0f}{error} %"


def rows(pairs: list[str], load: float, seeds: list[int]) -> Iterable[str]:
    """The figures at one load."""
    figures = {pair: [run_summary(play(pair, load, seed)) for seed in seeds] for pair in pairs}
    for key, (name, read, digits) in FIGURES.items():
        values = {pair: [read(each) for each in of_pair] for pair, of_pair in figures.items()}
        yield row(f"{load:.0%}: {name}", values, digits, PAPER[key])


def row(title: str, values: dict[str, list[float]], digits: int, paper: str) -> str:
    """A row: each pair's mean and error, what the last changes against each of the others, and the paper's change."""
    *others, ours = values.values()
    cells = [mean_and_error(each, digits) for each in values.values()]
    changes = [change(ours, each) for each in others]
    return f"| {' | '.join([title, *cells, *changes, paper])} |"


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="31,32,33,34,35,36,37,38")
    parser.add_argument("--loads", default=",".join(map(str, LOADS)))
    parser.add_argument("--ours", default="cato/deadline", help="policy and router, such as cato:use=2/deadline")
    options = parser.parse_args()
    pairs = [*STOCK, options.ours]
    seeds = [int(seed) for seed in options.seeds.split(",")]
    against = [f"against {pair}" for pair in STOCK]
    print(f"| load: figure | {' | '.join([*pairs, *against, 'paper'])} |\n|{' --- |' * (len(pairs) + 4)}")
    for load in map(float, options.loads.split(",")):
        for line in rows(pairs, load, seeds):
            print(line, flush=True)
        print(f"load {load:.0%} done", file=sys.stderr)
    capacities = {pair: [capacity(pair, seed) for seed in seeds] for pair in pairs}
    print(row("highest load with 90 % of deadlines met", capacities, 2, PAPER["busy"]))


if __name__ == "__main__":
    main()
