"""Predicted times of calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.orchestrator.call_times import MOST_CALLS, CallTimes, LengthRatio
from cato_lsp.scheduling.cost import StepCost, StepCostModel, StepCosts
from cato_lsp.tasks.calls import CallEstimate

COSTS = StepCosts(fixed=0.01, per_token=1e-4, per_sequence=1e-3, per_context=0.0)
estimates = st.lists(st.builds(CallEstimate, st.integers(0, 2000), st.integers(1, 500)), max_size=20)


def costs_with(per_sequence: float, fixed: float) -> CallTimes:
    return CallTimes(StepCosts(fixed=fixed, per_token=1e-4, per_sequence=per_sequence, per_context=1e-8))


def test_a_call_takes_a_step_for_its_prompt_and_one_for_each_further_token() -> None:
    times = CallTimes(COSTS)
    assert times.first_token(100) == pytest.approx(0.01 + 100e-4 + 1e-3)
    assert times.next_token(100) == pytest.approx(0.01 + 1e-4 + 1e-3)
    assert times.seconds(CallEstimate(100, 11)) == pytest.approx(0.021 + 10 * 0.0111)


def test_a_call_delays_others_by_all_but_the_fixed_cost_of_its_steps() -> None:
    assert CallTimes(COSTS).load(CallEstimate(100, 11)) == pytest.approx(0.011 + 10 * 0.0011)


def test_prediction_agrees_with_the_steps_it_was_learned_from() -> None:
    model = StepCostModel()
    for tokens, sequences, context in [(256, 1, 256), (1, 1, 300), (200, 4, 200), (4, 4, 260), (64, 1, 900)] * 40:
        model.learn(StepCost(tokens, sequences, context, COSTS.seconds(tokens, sequences, context)))
    call = CallEstimate(400, 30)
    assert CallTimes(model.costs).seconds(call) == pytest.approx(CallTimes(COSTS).seconds(call), rel=0.02)
    assert CallTimes(model.costs).load(call) == pytest.approx(CallTimes(COSTS).load(call), rel=0.1)


def test_under_load_each_token_takes_as_long_as_the_recent_steps() -> None:
    busy = CallTimes(StepCosts(fixed=0.01, per_token=1e-4, per_sequence=1e-3, per_context=0.0, recent_step=0.05))
    assert busy.under_load().next_token(0) == pytest.approx(0.05)
    idle = CallTimes(StepCosts(fixed=0.01, per_token=1e-4, per_sequence=1e-3, per_context=0.0, recent_step=0.001))
    assert idle.under_load().next_token(0) == idle.next_token(0)


def test_the_length_ratio_is_learned_from_answers() -> None:
    ratio = LengthRatio()
    for _ in range(30):
        ratio.learn(CallEstimate(100, 10), answered=20)
    assert ratio.value == pytest.approx(2.0, rel=0.01)
    assert CallTimes(COSTS, ratio.value).seconds(CallEstimate(0, 10)) == pytest.approx(
        CallTimes(COSTS).seconds(CallEstimate(0, 20)), rel=0.01
    )
    ratio.learn(CallEstimate(100, 0), answered=20)
    assert ratio.value < 2.1


def test_no_calls_take_no_time() -> None:
    assert CallTimes(COSTS).together([]) == 0.0


@given(estimates)
def test_calls_at_once_take_as_long_as_the_longest_and_as_the_limit_allows(calls: list[CallEstimate]) -> None:
    for times in (costs_with(0.0, 0.01), costs_with(0.003, 0.01), costs_with(0.01, 1e-5)):
        alone = [times.seconds(call) for call in calls]
        assert max(alone, default=0.0) <= times.together(calls) + 1e-9
        assert sum(alone) / MOST_CALLS <= times.together(calls) + 1e-9


@given(estimates)
def test_without_a_fixed_cost_calls_at_once_take_as_long_as_one_after_the_other(calls: list[CallEstimate]) -> None:
    times = costs_with(0.01, 0.0)
    assert times.together(calls) >= sum(times.seconds(call) for call in calls) - 1e-6
