"""Autoscalers under a load that rises and falls, in virtual time: a table of docs/benchmarks.md, as Markdown.

    python scripts/bench_autoscaling.py --out results/autoscaling

The mix of `cato-lsp simulate` on the machines of `bench_paper.py`, with deadlines that are longer by the same factor:
the faster machine in slow motion. Load 1 is what one replica can do. It is 0.8, for five minutes 2.4, and 0.8 again.
A replica takes 60 s to load. Runs that are in the folder already are read, not played again. Needs Ray (the extra
`fleet`).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench_fleet import figures_of, mean_and_error
from bench_paper import PROFILE, SLOWED

from cato_lsp.bench.autoscale import Autoscaler, DeadlineAutoscaler
from cato_lsp.bench.capacity import attainment
from cato_lsp.bench.fleet import FleetTwin
from cato_lsp.bench.fleet_plan import FleetPlan
from cato_lsp.bench.poisson import MIX, varying
from cato_lsp.bench.policies import policy_named
from cato_lsp.bench.ray_autoscaler import RayAutoscaler
from cato_lsp.bench.routers import ROUTERS
from cato_lsp.bench.simulate import without_garbage_collection
from cato_lsp.bench.workload import Workload

LEAST, MOST = 1, 6
LOAD_SECONDS = 60.0
SECONDS, RISES, FALLS = 1200.0, 300.0, 600.0
LOW, HIGH = 0.8, 2.4


def ray(open_calls: float, **delays: float) -> Autoscaler:
    """Ray Serve's, with this many open calls for each replica."""
    return RayAutoscaler(LEAST, MOST, target_ongoing_requests=open_calls, **delays)


def ours(spare: int) -> Autoscaler:
    """Ours, with spare replicas."""
    return DeadlineAutoscaler(LEAST, MOST, load_seconds=LOAD_SECONDS, spare=spare)


SCALERS: dict[str, Callable[[], Autoscaler]] = {
    "Ray's default: 2 open calls, 30 s up, 600 s down": lambda: ray(2),
    "Ray's, 12 open calls": lambda: ray(12),
    "Ray's, 12 open calls, 5 s up, 120 s down": lambda: ray(12, upscale_delay_s=5.0, downscale_delay_s=120.0),
    "ours, no spare": lambda: ours(0),
    "ours, 1 spare": lambda: ours(1),
}


@dataclass(frozen=True)
class Job:
    """One run."""

    number: int
    """Of the autoscaler."""
    seed: int

    @property
    def name(self) -> str:
        """Of the autoscaler."""
        return list(SCALERS)[self.number]

    def path(self, folder: Path) -> Path:
        """Where its figures are kept."""
        return folder / f"{self.number}-s{self.seed}.json"


def play(job: Job) -> dict[str, float]:
    """Play a run and return its figures."""

    def load(time: float) -> float:
        return (HIGH if RISES <= time < FALLS else LOW) / SLOWED

    calls = varying(MIX, load, most=HIGH / SLOWED, seed=job.seed, duration=SECONDS)
    workload = Workload("burst", calls, SECONDS, sla_scale=SLOWED)
    plan = FleetPlan(LEAST, load_seconds=LOAD_SECONDS)
    with without_garbage_collection():
        twin = FleetTwin(workload, policy_named("cato"), PROFILE, plan, ROUTERS["deadline"], SCALERS[job.name]())
        run = twin.play()
        figures = {"met": attainment(run), "replica_hours": twin.replica_seconds / 3600}
        del twin
    return figures


def main() -> None:
    """Play, or read, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="31,32,33,34,35,36,37,38")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    jobs = [Job(number, seed) for seed in seeds for number in range(len(SCALERS))]
    found = figures_of(jobs, play, options.out, options.processes)
    print("| autoscaler | deadlines met, % | replica-hours |\n| --- | --- | --- |")
    for number, name in enumerate(SCALERS):
        of_row = [found[Job(number, seed)] for seed in seeds]
        met = mean_and_error((100 * each["met"] for each in of_row), 1)
        hours = mean_and_error(each["replica_hours"] for each in of_row)
        print(f"| {name} | {met} | {hours} |")


if __name__ == "__main__":
    main()
