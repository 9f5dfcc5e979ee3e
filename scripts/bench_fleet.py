"""Engines and routers on fleets of 4 and 16 replicas, in virtual time: the tables of docs/benchmarks.md, as Markdown.

    python scripts/bench_fleet.py --out results/fleet

Runs that are in the folder already are read, not played again. The router `prefix` needs Ray (the extra `fleet`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

STOCK = ("round-robin", "power-of-two", "prefix", "session")
OURS = "cato/deadline"
PAIRS = (*(f"fcfs/{router}" for router in STOCK), *(f"cato/{router}" for router in STOCK), OURS)
PROFILE = "h200-qwen2.5-coder-7b"
SECONDS = {4: 40.0, 16: 15.0}
"""Of arrivals, by replicas. In the scenario `editors` they are those after the cold start."""
COLD = 10.0
"""Seconds in which the editors' documents are read for the first time; they are not judged."""


@dataclass(frozen=True)
class Job:
    """One run."""

    scenario: str
    replicas: int
    pair: str
    seed: int

    def path(self, folder: Path) -> Path:
        """Where its figures are kept."""
        return folder / f"{self.scenario}-{self.replicas}-{self.pair.replace('/', '-')}-s{self.seed}.json"


def play(job: Job) -> dict[str, Any]:
    """Play a run and return its figures."""
    from cato_lsp.bench.editors import editors
    from cato_lsp.bench.fleet import FleetTwin
    from cato_lsp.bench.fleet_plan import FleetPlan
    from cato_lsp.bench.hardware import load_profile
    from cato_lsp.bench.metrics import run_summary
    from cato_lsp.bench.poisson import poisson
    from cato_lsp.bench.policies import policy_named
    from cato_lsp.bench.routers import ROUTERS
    from cato_lsp.bench.simulate import without_garbage_collection

    count, seconds = job.replicas, SECONDS[job.replicas]
    if job.scenario == "equal":
        load, plan = poisson(rate=1.05 * count, seed=job.seed, duration=seconds), FleetPlan(count)
    elif job.scenario == "slow":
        load = poisson(rate=1.05 * (count - 0.5), seed=job.seed, duration=seconds)
        plan = FleetPlan(count, slow={1: 2.0})
    elif job.scenario == "dying":
        load = poisson(rate=1.05 * (count - 0.5), seed=job.seed, duration=seconds)
        plan = FleetPlan(count, deaths={1: seconds / 2})
    else:
        load, plan = editors(225 * count, seed=job.seed, duration=COLD + seconds), FleetPlan(count)
    policy, router = job.pair.split("/")
    with without_garbage_collection():
        twin = FleetTwin(load, policy_named(policy), load_profile(PROFILE), plan, ROUTERS[router])
        run = twin.play()
        if job.scenario == "editors":
            run.results = [result for result in run.results if result.slo.arrival >= COLD]
            run.duration = seconds
        figures = run_summary(run)
        del twin
    return figures


def figures_of(jobs: list[Job], folder: Path, processes: int) -> dict[Job, dict[str, Any]]:
    """Figures of each run, played now unless they are in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not job.path(folder).exists()]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for number, (job, figures) in enumerate(zip(missing, pool.map(play, missing), strict=True), 1):
            job.path(folder).write_text(json.dumps(figures) + "\n")
            print(f"{number}/{len(missing)} {job.scenario} {job.replicas} {job.pair} {job.seed}", file=sys.stderr)
    return {job: json.loads(job.path(folder).read_text()) for job in jobs}


def mean_and_error(values: Iterable[float], digits: int = 2) -> str:
    """`1.05 ± 0.02`: mean and standard error."""
    numbers = list(values)
    error = f" ± {statistics.stdev(numbers) / math.sqrt(len(numbers)):.{digits}f}" if len(numbers) > 1 else ""
    return f"{statistics.mean(numbers):.{digits}f}{error}"


def goodput_table(found: dict[Job, dict[str, Any]], columns: list[tuple[str, int]], seeds: list[int]) -> list[str]:
    """Goodput of each pair in each scenario, and below it the ratios that are asked for."""

    def goodput(column: tuple[str, int], pair: str) -> list[float]:
        return [found[Job(*column, pair, seed)]["goodput_per_s"] for seed in seeds]

    def ratios(column: tuple[str, int], rivals: list[str]) -> str:
        """Against the rival whose mean is the highest, paired by seed."""
        best = max(rivals, key=lambda pair: statistics.mean(goodput(column, pair)))
        pairs = zip(goodput(column, OURS), goodput(column, best), strict=True)
        return f"{mean_and_error((ours / theirs for ours, theirs in pairs), 3)} ({best.split('/')[1]})"

    lines = [f"| engine / router | {' | '.join(f'{name}, {count}' for name, count in columns)} |"]
    lines.append(f"|{' --- |' * (len(columns) + 1)}")
    offered = [[found[Job(*c, OURS, seed)]["offered_per_s"] for seed in seeds] for c in columns]
    lines.append(f"| offered | {' | '.join(f'{statistics.mean(each):.1f}' for each in offered)} |")
    for pair in PAIRS:
        lines.append(f"| {pair} | {' | '.join(mean_and_error(goodput(c, pair)) for c in columns)} |")
    for name in ("fcfs", "cato"):
        rivals = [pair for pair in PAIRS if pair.startswith(name) and pair != OURS]
        lines.append(f"| {OURS} over the best {name} | {' | '.join(ratios(c, rivals) for c in columns)} |")
    return lines


def main() -> None:
    """Play, or read, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="31,32,33,34,35,36,37,38")
    parser.add_argument("--scenarios", default="equal,slow,dying,editors")
    parser.add_argument("--replicas", default="4,16")
    parser.add_argument("--pairs", default=",".join(PAIRS), help="what to play; the table needs all")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    sizes = [int(count) for count in options.replicas.split(",")]
    names = options.scenarios.split(",")
    columns = [(name, count) for count in sizes for name in names if name != "editors" or count == 4]
    pairs = options.pairs.split(",")
    jobs = [Job(*column, pair, seed) for seed in seeds for column in columns for pair in pairs]
    found = figures_of(jobs, options.out, options.processes)
    if set(pairs) == set(PAIRS):
        print("\n".join(goodput_table(found, columns, seeds)))


if __name__ == "__main__":
    main()
