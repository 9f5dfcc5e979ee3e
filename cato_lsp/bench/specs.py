"""Workloads by name, as the command line gives them."""

from __future__ import annotations

import math
from pathlib import Path

from cato_lsp.bench.editors import editors
from cato_lsp.bench.poisson import greedy, poisson
from cato_lsp.bench.trace import trace
from cato_lsp.bench.workload import Workload
from cato_lsp.scheduling.slo import TaskKind


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


def parse_weights(text: str) -> dict[TaskKind, float]:
    """Weights by kind from `summarization=5,completion=0.5`.

    Raises:
        ValueError: a kind is unknown, or a weight is not a finite number above 0.
    """
    weights: dict[TaskKind, float] = {}
    for part in filter(None, text.split(",")):
        kind, _, value = part.partition("=")
        try:
            weights[TaskKind(kind)] = float(value)
        except ValueError:
            raise ValueError(f"{part!r} is not a weight such as summarization=5") from None
    if not all(0 < weight < math.inf for weight in weights.values()):
        raise ValueError("weights must be above 0")
    return weights
