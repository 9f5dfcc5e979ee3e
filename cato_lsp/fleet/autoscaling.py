"""Ray's autoscaler follows what the gateways want. They decide by `cato_lsp.fleet.scaling.Scaler`.

A gateway returns its demand to each replica that offers itself. The replica reports it to Ray's controller as its
autoscaling statistics, and the controller calls `policy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

REPORT_EVERY = 0.5
"""Seconds between two reports of a replica to the controller."""
UP, WANTED = "up", "wanted"
"""The statistics that a replica reports."""


def next_target(up: int, wanted: int, target: int) -> int:
    """Return the number of replicas that Ray shall keep.

    The fleet only shrinks when all replicas are up: one that has died, or is still loading, is wanted all the same.

    :param up: replicas that a gateway is connected to.
    :param wanted: replicas that it wants.
    :param target: replicas that Ray keeps now.
    """
    if wanted > up:
        return max(target, wanted)
    return wanted if wanted < up and up >= target else target


def combined(demands: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the demand of all gateways together: each sees a part of the calls, so the one that wants most decides."""
    known = list(demands)
    return dict(max(known, key=lambda each: each[WANTED] - each[UP])) if known else {}


def policy(context: Any) -> tuple[int, dict[str, Any]]:
    """Ray calls this ten times a second with its `AutoscalingContext`.

    The result depends on the last report and the target only, so that calling it again changes nothing.
    """
    series: Mapping[str, Mapping[Any, Any]] = context.raw_metrics or {}
    target: int = context.target_num_replicas
    latest = [
        {name: series[name][replica][-1].value for name in (UP, WANTED)}
        for replica in series.get(WANTED, {})
        if series[WANTED][replica] and series.get(UP, {}).get(replica)
    ]
    demand = combined(latest)
    if demand:
        target = next_target(int(demand[UP]), int(demand[WANTED]), target)
    return target, {}
