"""The search for the highest rate at which deadlines are met."""

from __future__ import annotations

import pytest

from cato_lsp.bench.capacity import HIGHEST, highest_rate
from cato_lsp.bench.policies import parse_policies, policy_named
from cato_lsp.bench.specs import make_workload


def test_the_rate_is_found_at_which_attainment_crosses_the_share() -> None:
    assert highest_rate(lambda rate: 1.0 - rate / 10, 0.9) == pytest.approx(1.0, abs=0.03)


def test_a_policy_that_never_meets_the_share_has_no_capacity() -> None:
    assert highest_rate(lambda _: 0.5, 0.9) == 0.0


def test_a_policy_that_always_does_has_the_highest_rate_that_is_tried() -> None:
    assert highest_rate(lambda _: 1.0, 0.9) == pytest.approx(HIGHEST, abs=0.03)


def test_a_policy_can_be_named_with_another_number() -> None:
    assert policy_named("cato:use=1.5:reserve=64").name == "cato:use=1.5:reserve=64"


@pytest.mark.parametrize("name", ["nonsense", "cato:nonsense=1", "fcfs:use=2"])
def test_an_unknown_policy_or_number_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="unknown"):
        parse_policies(name)


def test_the_greedy_client_asks_in_bursts() -> None:
    calls = [call for call in make_workload("greedy", duration=10.0, seed=1).calls if call.client == "greedy"]
    assert len(calls) % 12 == 0
    assert len({call.time for call in calls}) * 12 == len(calls)
