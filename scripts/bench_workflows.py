"""Measure what deadlines over whole tasks are worth: 200 tasks of many calls at several loads, in virtual time.

python scripts/bench_workflows.py
"""

from __future__ import annotations

import sys

from cato_lsp.bench.hardware import load_profile
from cato_lsp.bench.policies import POLICIES
from cato_lsp.bench.workflows import Deadlines, mixed_tasks, play

PROFILE = "h200-qwen2.5-coder-7b"
ROWS = (
    ("cato", Deadlines.WORKFLOW),
    ("cato", Deadlines.PER_CALL),
    ("edf", Deadlines.WORKFLOW),
    ("edf", Deadlines.PER_CALL),
    ("fcfs", Deadlines.NONE),
)


def main() -> None:
    """Print a table: promises kept of 200, per load."""
    loads = [float(each) for each in sys.argv[1:]] or [60.0, 50.0]
    profile = load_profile(PROFILE)
    print("| policy | deadlines | " + " | ".join(f"200 tasks in {seconds:g} s" for seconds in loads) + " |")
    print("|---|---|" + "---|" * len(loads))
    for name, deadlines in ROWS:
        cells: list[str] = []
        for seconds in loads:
            run = play(mixed_tasks(200, seconds), deadlines, POLICIES[name], profile)
            cells.append(f"{run.kept} ({run.makespan:.0f} s)")
        print(f"| {name} | {deadlines} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
