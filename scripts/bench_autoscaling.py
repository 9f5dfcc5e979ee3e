"""Autoscalers under loads that rise and fall, in virtual time: a table of docs/benchmarks.md, as Markdown.

    python scripts/bench_autoscaling.py --out results/autoscaling

A profile that is slowed as in `bench_paper.py`, with its deadlines; a replica takes 60 s to load. Load 1 is what one
replica can do. Runs that are in the folder already are read, not played again. Needs Ray (the extra `fleet`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

from bench_fleet import mean_and_error
from bench_paper import PROFILE, SLOWED

LEAST, MOST = 1, 6
LOAD_SECONDS = 60.0
BURST = ((300.0, 0.8), (600.0, 2.4), (1200.0, 0.8))
"""Until when (s), load: three times as much for five minutes, and back."""
DAY = (
    (8, 0.2),
    (9, 1.0),
    (10, 2.4),
    (11, 3.2),
    (12, 2.8),
    (13, 1.4),
    (14, 2.6),
    (15, 3.2),
    (16, 2.8),
    (17, 2.0),
    (18, 1.0),
)
"""Hour, load from there on; between them it changes evenly. An hour is played in `HOUR` seconds."""
HOUR = 240.0
HIGHEST = 3.2
SECONDS = {"burst": 1200.0, "day": HOUR * (DAY[-1][0] - DAY[0][0])}


def burst(time: float) -> float:
    """The load of `burst`."""
    return next(load for until, load in BURST if time < until)


def day(time: float) -> float:
    """The load of `day`."""
    hour = DAY[0][0] + time / HOUR
    (before, low), (after, high) = next(pair for pair in pairwise(DAY) if hour < pair[1][0])
    return low + (high - low) * (hour - before) / (after - before)


LOADS = {"burst": burst, "day": day}
SCALERS = (
    "fixed:1",
    "fixed:3",
    "fixed:6",
    "ray:2",
    "ray:4",
    "ray:8",
    "ray:12",
    "ray:16",
    "ray:24",
    "ray:32",
    "ours:0",
    "ours:1",
)


PAIRS = ("cato/deadline",)


@dataclass(frozen=True)
class Job:
    """One run."""

    load: str
    scaler: str
    pair: str
    seed: int

    def path(self, folder: Path) -> Path:
        """Where its figures are kept."""
        return folder / f"{self.load}-{self.scaler.replace(':', '-')}-{self.pair.replace('/', '-')}-s{self.seed}.json"


def play(job: Job) -> dict[str, float]:
    """Play a run and return its figures."""
    from cato_lsp.bench.autoscale import DeadlineAutoscaler
    from cato_lsp.bench.capacity import attainment
    from cato_lsp.bench.fleet import FleetTwin
    from cato_lsp.bench.fleet_plan import FleetPlan
    from cato_lsp.bench.poisson import MIX, varying
    from cato_lsp.bench.policies import policy_named
    from cato_lsp.bench.ray_autoscaler import RayAutoscaler
    from cato_lsp.bench.routers import ROUTERS
    from cato_lsp.bench.simulate import without_garbage_collection
    from cato_lsp.bench.workload import Workload

    shape, seconds = LOADS[job.load], SECONDS[job.load]
    calls = varying(MIX, lambda time: shape(time) / SLOWED, most=HIGHEST / SLOWED, seed=job.seed, duration=seconds)
    workload = Workload(job.load, calls, seconds, sla_scale=SLOWED)
    name, _, number = job.scaler.partition(":")
    policy, router = job.pair.split("/")
    start, scaler = LEAST, None
    if name == "ray":
        scaler = RayAutoscaler(LEAST, MOST, target_ongoing_requests=float(number))
    elif name == "ours":
        scaler = DeadlineAutoscaler(LEAST, MOST, load_seconds=LOAD_SECONDS, spare=int(number))
    else:
        start = int(number)
    plan = FleetPlan(start, load_seconds=LOAD_SECONDS)
    with without_garbage_collection():
        twin = FleetTwin(workload, policy_named(policy), PROFILE, plan, ROUTERS[router], scaler)
        run = twin.play()
        figures = {
            "met": attainment(run),
            "goodput": sum(result.met for result in run.results) / seconds,
            "replica_hours": twin.replica_seconds / 3600,
            "replicas": twin.replica_seconds / seconds,
            "refused": twin.refused,
        }
        del twin
    return figures


def figures_of(jobs: list[Job], folder: Path, processes: int) -> dict[Job, dict[str, float]]:
    """Figures of each run, played now unless they are in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not job.path(folder).exists()]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for number, (job, figures) in enumerate(zip(missing, pool.map(play, missing), strict=True), 1):
            job.path(folder).write_text(json.dumps(figures) + "\n")
            print(f"{number}/{len(missing)} {job} {figures}", file=sys.stderr, flush=True)
    return {job: json.loads(job.path(folder).read_text()) for job in jobs}


def main() -> None:
    """Play, or read, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="31,32,33,34,35,36,37,38")
    parser.add_argument("--loads", default=",".join(LOADS))
    parser.add_argument("--scalers", default=",".join(SCALERS))
    parser.add_argument("--pairs", default=",".join(PAIRS))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    pairs, scalers = options.pairs.split(","), options.scalers.split(",")
    rows = [(load, pair, scaler) for load in options.loads.split(",") for pair in pairs for scaler in scalers]
    jobs = [Job(load, scaler, pair, seed) for seed in seeds for load, pair, scaler in rows]
    found = figures_of(jobs, options.out, options.processes)
    print("| load | engine / router | autoscaler | deadlines met | of them per s | replica-hours |")
    print("| --- | --- | --- | --- | --- | --- |")
    for load, pair, scaler in rows:
        of_row = [found[Job(load, scaler, pair, seed)] for seed in seeds]
        met = mean_and_error((100 * each["met"] for each in of_row), 1)
        goodput = mean_and_error(each["goodput"] for each in of_row)
        hours = mean_and_error(each["replica_hours"] for each in of_row)
        print(f"| {load} | {pair} | {scaler} | {met} % | {goodput} | {hours} |")


if __name__ == "__main__":
    main()
