"""The capacity of a policy: the highest load at which it still meets a given share of all deadlines."""

from __future__ import annotations

from collections.abc import Callable

from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.simulate import simulate
from cato_lsp.bench.workload import Workload
from cato_lsp.scheduling.slo import ServiceClass

LOWEST, HIGHEST = 0.05, 4.0
"""Lowest and highest rate of the search."""


def attainment(workload: Workload, policy: str, profile: HardwareProfile) -> float:
    """Play the workload and return the share of all deadlines that are met."""
    (run,) = simulate(workload, [policy], profile)
    due = [result for result in run.results if result.slo.service is not ServiceClass.BACKGROUND]
    return sum(result.met for result in due) / max(1, len(due))


def highest_rate(attained: Callable[[float], float], share: float, *, precision: float = 0.02) -> float:
    """Return the highest rate at which at least `share` is attained, by bisection; 0 if there is none.

    :param attained: the part of all deadlines met at a rate. It is taken to fall as the rate rises.
    """
    low, high = LOWEST, HIGHEST
    if attained(low) < share:
        return 0.0
    while high - low > precision:
        middle = (low + high) / 2
        low, high = (middle, high) if attained(middle) >= share else (low, middle)
    return low
