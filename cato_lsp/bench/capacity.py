"""The capacity of a policy: the highest load at which it still meets a given share of all deadlines."""

from __future__ import annotations

from collections.abc import Callable

from cato_lsp.bench.result import Run
from cato_lsp.scheduling.slo import ServiceClass

FIRST, HIGHEST = 0.25, 4.0
"""First and highest rate of the search."""


def attainment(run: Run) -> float:
    """The share of all deadlines that are met."""
    due = [result for result in run.results if result.slo.service is not ServiceClass.BACKGROUND]
    return sum(result.met for result in due) / max(1, len(due))


def highest_rate(attained: Callable[[float], float], share: float, *, precision: float = 0.02) -> float:
    """Return the highest rate at which at least `share` is attained, by doubling and bisection; 0 if there is none.

    :param attained: the part of all deadlines met at a rate. It is taken to fall as the rate rises. High rates, which
        take longest to play, are tried only if half of them is attained.
    """
    low, high = 0.0, FIRST
    while attained(high) >= share:
        low, high = high, 2 * high
        if low >= HIGHEST:
            return low
    while high - low > precision:
        middle = (low + high) / 2
        low, high = (middle, high) if attained(middle) >= share else (low, middle)
    return low
