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
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

STOCK = ("round-robin", "power-of-two", "prefix")
"""Ray's."""
OURS = "cato/deadline"
PAIRS = (*(f"fcfs/{router}" for router in STOCK), *(f"cato/{router}" for router in STOCK), "cato/session", OURS)
PROFILE = "h200-qwen2.5-coder-7b"
RATE = 1.05
"""Of the mix, for each replica that is there on average."""
BUSY = 1.4
"""The same in `busy`: ours meets nine tenths of the deadlines."""
SECONDS = {"equal": 30.0, "busy": 30.0, "slow": 30.0, "dying": 30.0, "lost": 30.0, "editors": 12.0}
"""Of arrivals with 4 replicas; with 16, `LARGE` of it. Those of `editors` come after the cold start."""
LARGE = 0.4
COLD = 8.0
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
    from cato_lsp.bench.fleet_plan import FOUND_DEAD, FleetPlan
    from cato_lsp.bench.hardware import load_profile
    from cato_lsp.bench.metrics import run_summary
    from cato_lsp.bench.poisson import poisson
    from cato_lsp.bench.policies import policy_named
    from cato_lsp.bench.routers import ROUTERS
    from cato_lsp.bench.simulate import without_garbage_collection
    from cato_lsp.fleet.link import SILENCE

    count = job.replicas
    seconds = SECONDS[job.scenario] * (LARGE if count > 4 else 1.0)
    there = count - 0.5 if job.scenario in ("slow", "dying", "lost") else count
    rate = (BUSY if job.scenario == "busy" else RATE) * there
    if job.scenario == "editors":
        load = editors(225 * count, seed=job.seed, duration=COLD + seconds)
    else:
        load = poisson(rate=rate, seed=job.seed, duration=seconds)
    plan = FleetPlan(
        count,
        slow={1: 2.0} if job.scenario == "slow" else {},
        deaths={1: seconds / 2} if job.scenario in ("dying", "lost") else {},
        found_dead=SILENCE if job.scenario == "lost" else FOUND_DEAD,
    )
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


class Stored(Protocol):
    """A run whose figures are kept in a file."""

    def path(self, folder: Path, /) -> Path:
        """The file."""
        ...


J = TypeVar("J", bound=Stored)


def figures_of(
    jobs: list[J], play: Callable[[J], dict[str, Any]], folder: Path, processes: int
) -> dict[J, dict[str, Any]]:
    """Figures of each run, played now unless they are in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not job.path(folder).exists()]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for number, (job, figures) in enumerate(zip(missing, pool.map(play, missing), strict=True), 1):
            job.path(folder).write_text(json.dumps(figures) + "\n")
            print(f"{number}/{len(missing)} {job}", file=sys.stderr, flush=True)
    return {job: json.loads(job.path(folder).read_text()) for job in jobs}


def mean_and_error(values: Iterable[float], digits: int = 2) -> str:
    """`1.05 ± 0.02`: mean and standard error."""
    numbers = list(values)
    error = f" ± {statistics.stdev(numbers) / math.sqrt(len(numbers)):.{digits}f}" if len(numbers) > 1 else ""
    return f"{statistics.mean(numbers):.{digits}f}{error}"


Found = dict[Job, dict[str, Any]]
Column = tuple[str, int]


def goodput_table(found: Found, columns: list[Column], seeds: list[int]) -> list[str]:
    """Goodput of each pair in each scenario, and below it ours over the best of each engine, paired by seed."""

    def goodput(column: Column, pair: str) -> list[float]:
        return [found[job]["goodput_per_s"] for seed in seeds if (job := Job(*column, pair, seed)) in found]

    def ratio(column: Column, rivals: list[str]) -> str:
        best = max(rivals, key=lambda pair: statistics.mean(goodput(column, pair)))
        pairs = zip(goodput(column, OURS), goodput(column, best), strict=True)
        return f"{mean_and_error((ours / theirs for ours, theirs in pairs), 3)} ({best.split('/')[1]})"

    lines = [f"| engine / router | {' | '.join(f'{name}, {count}' for name, count in columns)} |"]
    lines.append(f"|{' --- |' * (len(columns) + 1)}")
    offered = [
        [found[Job(*c, OURS, seed)]["offered_per_s"] for seed in seeds if Job(*c, OURS, seed) in found] for c in columns
    ]
    lines.append(f"| offered | {' | '.join(f'{statistics.mean(each):.1f}' for each in offered)} |")
    lines.append(f"| seeds | {' | '.join(str(len(each)) for each in offered)} |")
    for pair in PAIRS:
        cells = [mean_and_error(values) if (values := goodput(c, pair)) else "–" for c in columns]
        lines.append(f"| {pair} | {' | '.join(cells)} |")
    for name in ("fcfs", "cato"):
        rivals = [[pair for pair in pairs_of(c[0]) if pair.startswith(name) and pair != OURS] for c in columns]
        cells = [ratio(column, each) for column, each in zip(columns, rivals, strict=True)]
        lines.append(f"| {OURS} over the best {name} | {' | '.join(cells)} |")
    return lines


def pairs_of(scenario: str) -> list[str]:
    """What is played: the hash of the client makes sense only where there are many clients."""
    return [pair for pair in PAIRS if scenario == "editors" or pair != "cato/session"]


def main() -> None:
    """Play, or read, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="31,32,33,34,35,36,37,38")
    parser.add_argument("--scenarios", default=",".join(SECONDS))
    parser.add_argument("--replicas", default="4,16")
    parser.add_argument("--pairs", default=",".join(PAIRS), help="what to play; the table needs all")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    sizes = [int(count) for count in options.replicas.split(",")]
    names = options.scenarios.split(",")
    columns = [(name, count) for count in sizes for name in names if name != "editors" or count == 4]
    chosen = options.pairs.split(",")
    jobs = [Job(*c, pair, seed) for seed in seeds for c in columns for pair in pairs_of(c[0]) if pair in chosen]
    found = figures_of(jobs, play, options.out, options.processes)
    if set(chosen) == set(PAIRS):
        print("\n".join(goodput_table(found, columns, seeds)))


if __name__ == "__main__":
    main()
