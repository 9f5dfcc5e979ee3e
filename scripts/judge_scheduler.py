"""Two versions of the policy on the same calls, paired by seed: the first tables of docs/benchmarks.md.

    git worktree add ../before e2a18d7
    python scripts/judge_scheduler.py save --out results/loads
    python scripts/judge_scheduler.py play --loads results/loads --code ../before --out results/before
    python scripts/judge_scheduler.py play --loads results/loads --code . --out results/now
    python scripts/judge_scheduler.py table results/before results/now

`play` runs each workload in the virtual-time twin of a checkout (as `cato-lsp simulate --workload replay:FILE` does).
Runs whose figures are in the folder already are not played again. The rows of the trace need `--trace FILE`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Figures = dict[str, Any]
SECONDS = ("step_seconds", "seconds_per_token", "seconds_per_sequence", "seconds_per_context_token")
KINDS = ("completion", "generation", "summarization", "translation")


@dataclass(frozen=True)
class Row:
    """A workload on a machine."""

    title: str
    workload: str
    rate: float
    duration: float = 60.0
    speed: float = 1.0
    """Of the machine, as a factor on that of the hardware profile."""


ROWS = {
    "rate-0.6": Row("rate 0.6", "poisson", 0.6),
    "rate-1.0": Row("rate 1.0", "poisson", 1.0),
    "rate-1.2": Row("rate 1.2", "poisson", 1.2),
    "rate-1.4": Row("rate 1.4", "poisson", 1.4),
    "rate-2.0": Row("rate 2.0", "poisson", 2.0),
    "trace-2": Row("trace at 2x", "trace", 2.0, 30.0),
    "trace-4": Row("trace at 4x", "trace", 4.0, 30.0),
    "half": Row("half as fast, rate 0.5", "poisson", 0.5, speed=0.5),
    "quarter": Row("a quarter as fast, rate 0.25", "poisson", 0.25, speed=0.25),
    "greedy": Row("greedy client", "greedy", 1.0, 30.0),
    "editors": Row("`editors:40`", "editors:40", 1.0),
}


def save(options: argparse.Namespace) -> None:
    """Write the calls of each row and seed, for versions that cannot make them."""
    from cato_lsp.bench.specs import make_workload

    for name, seed in chosen(options):
        row = ROWS[name]
        workload = row.workload
        if workload == "trace":
            if options.trace is None:
                continue
            workload = f"trace:{options.trace}"
        load = make_workload(workload, rate=row.rate, seed=seed, duration=row.duration)
        load.save(options.out / f"{name}-s{seed}.jsonl")


def play(options: argparse.Namespace) -> None:
    """Play the saved workloads under `cato` as it is in the checkout."""
    sys.path.insert(0, str(options.code.resolve()))
    import cato_lsp
    from cato_lsp.bench import hardware, metrics
    from cato_lsp.bench.simulate import simulate
    from cato_lsp.bench.workload import Workload

    assert Path(cato_lsp.__file__).is_relative_to(options.code.resolve()), cato_lsp.__file__
    known = hardware.load_profile("h200-qwen2.5-coder-7b")
    for name, seed in chosen(options):
        source = options.loads / f"{name}-s{seed}.jsonl"
        target = options.out / f"{name}-s{seed}.json"
        if target.exists() or not source.exists():
            continue
        load = Workload.load(source)
        if options.weights:
            load = replace(load, weights=dict(options.weights))
        profile = replace(known, **{field: getattr(known, field) / ROWS[name].speed for field in SECONDS})
        (run,) = simulate(load, ["cato"], profile)
        results = run.results if hasattr(run, "results") else run.outcomes  # the older name
        modest = [on_time(result) for result in results if result.slo.client != "greedy"]
        figures = metrics.run_summary(run) | {"modest": sum(modest) / len(modest)}
        target.write_text(json.dumps(figures) + "\n")
        print(name, seed, f"{figures['goodput_per_s']:.2f}", flush=True)


def on_time(result: Any) -> bool:
    """Whether the deadline was met."""
    due = result.first if result.slo.service.value == "ttft" else result.last
    return due <= result.slo.deadline


def table(options: argparse.Namespace) -> None:
    """Print the rows that both folders have, as Markdown."""
    print(line(["load", "seeds", "goodput/s before", "now", "difference ± standard error", *KINDS]))
    print(line(["---"] * (5 + len(KINDS))))
    for name, row in ROWS.items():
        pairs = list(paired(options.before, options.now, name))
        if len(pairs) < 2:
            continue
        before, now = (mean_of(pairs, side, lambda f: f["goodput_per_s"]) for side in (0, 1))
        differences = [b["goodput_per_s"] - a["goodput_per_s"] for a, b in pairs]
        error = statistics.stdev(differences) / math.sqrt(len(pairs))
        cells = [f"{row.title}, {row.duration:g} s", str(len(pairs)), f"{before:.2f}", f"{now:.2f}"]
        cells.append(f"{now - before:+.2f} ± {error:.2f}")
        for kind in KINDS:
            shares = [mean_of(pairs, side, lambda f, kind=kind: f["kinds"][kind]["attained"]) for side in (0, 1)]
            cells.append("–" if any(map(math.isnan, shares)) else " → ".join(f"{100 * each:.1f}" for each in shares))
        print(line(cells))
    if pairs := list(paired(options.before, options.now, "greedy")):
        shares = [mean_of(pairs, side, lambda f: f["modest"]) for side in (0, 1)]
        print(f"\nThe others beside the greedy client: {shares[0]:.1%} → {shares[1]:.1%} of their deadlines are met.")


def paired(before: Path, now: Path, name: str) -> Iterator[tuple[Figures, Figures]]:
    """Figures of the seeds that both folders have."""
    for path in sorted(now.glob(f"{name}-s*.json")):
        if (other := before / path.name).exists():
            yield json.loads(other.read_text()), json.loads(path.read_text())


def mean_of(pairs: list[tuple[Figures, Figures]], side: int, read: Callable[[Figures], float]) -> float:
    """The mean of a figure over the seeds."""
    return statistics.mean(read(pair[side]) for pair in pairs)


def line(cells: list[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def chosen(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """The rows and seeds to work on."""
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds.split(","):
        for name in options.rows.split(","):
            yield name, int(seed)


def weight(text: str) -> tuple[str, float]:
    """`summarization=5`."""
    kind, _, value = text.partition("=")
    return kind, float(value)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for run in (save, play):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--rows", default=",".join(ROWS))
        command.add_argument("--seeds", default="31,32,33,34,35,36,37,38")
        if run is save:
            command.add_argument("--trace", type=Path)
        else:
            command.add_argument("--loads", type=Path, required=True)
            command.add_argument("--code", type=Path, default=Path())
            command.add_argument("--weights", type=weight, action="append", metavar="KIND=WEIGHT")
    command = commands.add_parser("table", help=table.__doc__)
    command.set_defaults(run=table)
    command.add_argument("before", type=Path)
    command.add_argument("now", type=Path)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
