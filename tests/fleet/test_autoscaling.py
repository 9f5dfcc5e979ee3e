"""What Ray's autoscaler is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from cato_lsp.fleet.autoscaling import combined, next_target, policy
from cato_lsp.fleet.settings import FleetSettings


@pytest.mark.parametrize(
    ("up", "wanted", "target", "expected"),
    [
        (2, 2, 2, 2),
        (2, 4, 2, 4),
        (2, 3, 4, 4),
        (3, 2, 3, 2),
        (3, 2, 2, 2),
        (2, 1, 3, 3),
        (2, 2, 3, 3),
    ],
    ids=["enough", "more", "more are loading", "fewer", "one is stopping", "one has died", "one is loading"],
)
def test_a_fleet_shrinks_only_when_all_its_replicas_are_up(up: int, wanted: int, target: int, expected: int) -> None:
    assert next_target(up, wanted, target) == expected


def context(target: int, **series: dict[str, list[float]]) -> Any:
    """An `AutoscalingContext`."""
    raw = {
        name: {replica: [SimpleNamespace(value=value) for value in values] for replica, values in each.items()}
        for name, each in series.items()
    }
    return SimpleNamespace(raw_metrics=raw, target_num_replicas=target)


def test_the_policy_follows_the_last_report_of_the_gateway_that_wants_most() -> None:
    both = context(2, up={"a": [2, 2], "b": [2]}, wanted={"a": [3, 2], "b": [4]}, running_requests={"a": [9]})
    assert policy(both) == (4, {})
    assert policy(context(2, up={"a": [2, 2]}, wanted={"a": [3, 1]})) == (1, {})
    assert policy(context(2)) == (2, {})
    assert combined([{"up": 2, "wanted": 1}, {"up": 1, "wanted": 2}]) == {"up": 1, "wanted": 2}


def test_the_most_replicas_are_no_fewer_than_the_least() -> None:
    with pytest.raises(ValidationError, match="less than replicas"):
        FleetSettings(replicas=2, max_replicas=1)
    assert FleetSettings(replicas=2).scaler is None
