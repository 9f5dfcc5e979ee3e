"""A workload whose completions come from a recorded trace, mixed with the other kinds of task."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

from cato_lsp.bench.poisson import MIX, mix_calls
from cato_lsp.bench.workload import Workload, WorkloadCall
from cato_lsp.scheduling.slo import TaskKind


def read_trace(path: Path) -> list[tuple[float, int, int]]:
    """Read a trace in the format of the Azure LLM inference traces (2023).

    The file has the columns TIMESTAMP, ContextTokens and GeneratedTokens. Returns, for each row, the seconds since the
    first row, prompt tokens and answer tokens.

    Raises:
        ValueError: the file lacks one of these columns, or has no rows.
    """
    with path.open(newline="") as file:
        try:
            rows = [
                (_seconds(row["TIMESTAMP"]), int(row["ContextTokens"]), int(row["GeneratedTokens"]))
                for row in csv.DictReader(file)
            ]
        except KeyError as error:
            raise ValueError(f"{path} has no column {error}") from error
    if not rows:
        raise ValueError(f"{path} has no rows")
    start = min(row[0] for row in rows)
    return sorted((time - start, prompt, answer) for time, prompt, answer in rows)


def trace(
    path: Path,
    *,
    rate: float = 1.0,
    sla_scale: float = 1.0,
    seed: int = 0,
    duration: float = 120.0,
    clients: int = 16,
) -> Workload:
    """Play the trace `rate` times as fast as recorded, for `duration` seconds; the other kinds at their usual rate."""
    rows = [(time / rate, prompt, answer) for time, prompt, answer in read_trace(path)]
    duration = min(duration, rows[-1][0])
    completions = [
        WorkloadCall(time, TaskKind.COMPLETION, f"client-{i % clients}", max(1, prompt), max(1, answer))
        for i, (time, prompt, answer) in enumerate(rows)
        if time <= duration
    ]
    others = tuple(mix for mix in MIX if mix.kind is not TaskKind.COMPLETION)
    calls = completions + mix_calls(others, rate=1.0, seed=seed, duration=duration, clients=clients)
    return Workload("trace", sorted(calls, key=lambda call: call.time), duration, sla_scale)


def _seconds(stamp: str) -> float:
    # The traces have seven decimals; datetime reads six.
    whole, _, fraction = stamp.partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
