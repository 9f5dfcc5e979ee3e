"""Workloads by name, as the command line gives them."""

from __future__ import annotations

from pathlib import Path

from cato_lsp.bench.editors import editors
from cato_lsp.bench.poisson import greedy, poisson
from cato_lsp.bench.trace import trace
from cato_lsp.bench.workload import Workload


def make_workload(
    spec: str, *, rate: float = 1.0, sla_scale: float = 1.0, seed: int = 0, duration: float = 120.0
) -> Workload:
    """`poisson`, `greedy`, `trace:FILE`, `editors:N`, or `replay:FILE` (saved by `--save`).

    `replay` ignores the other options.

    Raises:
        ValueError: the name is unknown, or the file is not of its form.
    """
    name, _, argument = spec.partition(":")
    if name == "poisson":
        return poisson(rate=rate, sla_scale=sla_scale, seed=seed, duration=duration)
    if name == "greedy":
        return greedy(rate=rate, sla_scale=sla_scale, seed=seed, duration=duration)
    if name == "trace" and argument:
        return trace(Path(argument), rate=rate, sla_scale=sla_scale, seed=seed, duration=duration)
    if name == "editors" and argument.isdigit():
        return editors(int(argument), rate=rate, sla_scale=sla_scale, seed=seed, duration=duration)
    if name == "replay" and argument:
        return Workload.load(Path(argument))
    raise ValueError(f"unknown workload {spec!r}; known: poisson, greedy, trace:FILE, editors:N, replay:FILE")
