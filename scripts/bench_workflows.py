"""Measure the effect of deadlines for whole tasks: 200 tasks of many calls and completions, in virtual time.

python scripts/bench_workflows.py
"""

from __future__ import annotations

import argparse
from statistics import mean

from cato_lsp.bench.hardware import load_profile
from cato_lsp.bench.policies import POLICIES
from cato_lsp.bench.workflows import Deadlines, WorkflowRun, mixed_tasks, play

PROFILE = "h200-qwen2.5-coder-7b"
ROWS = (
    ("fcfs", Deadlines.NONE),
    ("cato", Deadlines.NONE),
    ("cato", Deadlines.PER_CALL),
    ("cato", Deadlines.PER_STAGE),
    ("cato", Deadlines.SHARE),
    ("cato", Deadlines.TASK),
    ("cato", Deadlines.WORKFLOW),
)
"""The policy of the engine, and where the deadlines of calls come from."""


def main() -> None:
    """Print a table: deadlines met of 200 per seed, and the share of completions on time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[75.0, 85.0, 95.0], help="of arrivals")
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12])
    parser.add_argument("--deadlines", nargs="+", choices=list(Deadlines), default=list(Deadlines))
    options = parser.parse_args()
    profile = load_profile(PROFILE)
    print("| 200 tasks in | engine's policy | deadlines of calls | met | mean | completions on time |")
    print("|---|---|---|---|---|---|")
    for seconds in options.seconds:
        for name, deadlines in ROWS:
            if deadlines in options.deadlines:
                mixes = [mixed_tasks(200, seconds, seed) for seed in options.seeds]
                runs = [play(mix, deadlines, POLICIES[name], profile) for mix in mixes]
                print(f"| {seconds:g} s | {name} | {deadlines} | {_row(runs)} |", flush=True)


def _row(runs: list[WorkflowRun]) -> str:
    met = ", ".join(str(run.met) for run in runs)
    return f"{met} | {mean(run.met for run in runs):.0f} | {mean(run.completions_met for run in runs):.1%}"


if __name__ == "__main__":
    main()
