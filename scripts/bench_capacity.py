r"""The highest rate at which 90 and 95 % of all deadlines are met, for every policy, and attainment over the rate.

    python scripts/bench_capacity.py --out results/capacity --seeds 31,32 --plot docs/attainment.svg

    python scripts/bench_capacity.py --out results/capacity --replicas 4 --duration 30 \
        --policies fcfs/round-robin,fcfs/power-of-two,fcfs/prefix,cato/prefix,cato/deadline

For each seed this is `cato-lsp simulate --capacity 0.9 --seed SEED --duration 60 --policies POLICIES`. With
`--replicas` the policies are pairs of a policy and a router, and the rate is that of each replica. What was played is
kept in the folder, for the other share, the plot, and the next call.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path

from cato_lsp.bench.capacity import attainment, highest_rate
from cato_lsp.bench.fleet_plan import FleetPlan
from cato_lsp.bench.hardware import load_profile
from cato_lsp.bench.policies import BASELINES, parse_policies
from cato_lsp.bench.result import Run
from cato_lsp.bench.simulate import simulate, simulate_fleet
from cato_lsp.bench.specs import make_workload

SHARES = (0.9, 0.95)
RATES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Of the plot."""
OURS = ("cato", "cato/deadline")
STOCK = (
    *(name for name in BASELINES if name not in ("edf", "pressure")),
    *(f"fcfs/{router}" for router in ("round-robin", "power-of-two", "prefix")),
)
"""Configurations of vLLM itself, and those with Ray's routers."""


class Attained:
    """The part of all deadlines that a policy meets at a rate, played once.

    :param policy: with a router after a slash if there are several replicas.
    """

    def __init__(self, folder: Path, policy: str, seed: int, duration: float, replicas: int) -> None:
        fleet = f"-r{replicas}" if replicas > 1 else ""
        self._path = folder / f"{policy.replace('/', '-')}-s{seed}-d{duration:g}{fleet}.json"
        self._policy, self._seed, self._duration, self._replicas = policy, seed, duration, replicas
        self._known: dict[str, float] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def __call__(self, rate: float) -> float:
        """Play the rate, unless it was played before."""
        name = f"{rate:g}"
        if name not in self._known:
            self._known[name] = attainment(self._play(rate))
            self._path.write_text(json.dumps(self._known) + "\n")
        return self._known[name]

    def _play(self, rate: float) -> Run:
        load = make_workload("poisson", rate=rate * self._replicas, seed=self._seed, duration=self._duration)
        profile = load_profile("h200-qwen2.5-coder-7b")
        if self._replicas == 1:
            (run,) = simulate(load, [self._policy], profile)
        else:
            policy, router = self._policy.split("/")
            (run,) = simulate_fleet(load, [policy], [router], FleetPlan(self._replicas), profile)
        return run

    def curve(self) -> list[float]:
        """What is attained at the rates of the plot; 0 from where hardly anything is, without playing it."""
        shares: list[float] = []
        for rate in RATES:
            shares.append(self(rate) if not shares or shares[-1] > 0.02 else 0.0)
        return shares


def mean_and_error(values: list[float]) -> str:
    """`1.05 ± 0.02`; the standard error if there are several values."""
    error = f" ± {statistics.stdev(values) / math.sqrt(len(values)):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{error}"


def print_table(capacities: dict[str, dict[float, list[float]]], shares: tuple[float, ...]) -> None:
    """Capacities as Markdown, last the ratio of ours to the best of stock vLLM."""
    print(f"| policy | {' | '.join(f'{share:.0%} of deadlines' for share in shares)} |")
    print(f"| --- |{' --- |' * len(shares)}")
    for policy, by_share in capacities.items():
        name = f"**{policy}**" if policy in OURS else policy
        print(f"| {name} | {' | '.join(mean_and_error(by_share[share]) for share in shares)} |")
    stock = [capacities[name] for name in STOCK if name in capacities]
    for name in filter(capacities.__contains__, OURS if stock else ()):
        ratios = [
            mean_and_error(_over_best(capacities[name][share], [each[share] for each in stock])) for share in shares
        ]
        print(f"| {name}, of the best stock vLLM | {' | '.join(f'{ratio} x' for ratio in ratios)} |")


def _over_best(ours: list[float], stock: list[list[float]]) -> list[float]:
    """Ours over the best of the others, seed by seed."""
    best = [max(each) for each in zip(*stock, strict=True)]
    return [mine / other for mine, other in zip(ours, best, strict=True)]


def plot(curves: dict[str, list[list[float]]], path: Path) -> None:
    """Attainment over the rate, one line a policy, the mean over the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "cato-lsp"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, by_seed in curves.items():
        width = 2.5 if name in OURS else 1.2
        axes.plot(RATES, [100 * statistics.mean(each) for each in zip(*by_seed, strict=True)], label=name, lw=width)
    for share in SHARES:
        axes.axhline(100 * share, color="0.7", lw=0.8, ls=":")
    axes.set(xlabel="rate (1: 12.5 requests a second)", ylabel="deadlines met, %", ylim=(0, 101))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Play, or read, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="31,32")
    parser.add_argument("--duration", type=float, default=60.0)
    parser.add_argument("--policies", default="baselines,cato")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="Write the plot here (.svg or .png).")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    capacities: dict[str, dict[float, list[float]]] = {}
    curves: dict[str, list[list[float]]] = {}
    one = options.replicas == 1
    for policy in parse_policies(options.policies) if one else options.policies.split(","):
        played = [
            Attained(options.out, policy, int(seed), options.duration, options.replicas)
            for seed in options.seeds.split(",")
        ]
        capacities[policy] = {share: [highest_rate(each, share) for each in played] for share in SHARES}
        if options.plot is not None:
            curves[policy] = [each.curve() for each in played]
    print_table(capacities, SHARES)
    if options.plot is not None:
        plot(curves, options.plot)


if __name__ == "__main__":
    main()
