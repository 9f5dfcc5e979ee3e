"""What is learned of the machine's speed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.orchestrator.pace import WIDEST, Pace
from cato_lsp.tasks.calls import CallEstimate

works = st.lists(st.builds(CallEstimate, st.integers(0, 2000), st.integers(1, 500)), max_size=20)


def test_the_pace_is_learned_from_what_calls_took() -> None:
    known = Pace()
    for _ in range(30):
        known.learn(CallEstimate(100, 10), answered=20, ttft=0.53, e2e=0.53 + 19 * 0.03, cached=0)
    assert known.answer_token == pytest.approx(0.03)
    assert known.prompt_token == pytest.approx(0.005, rel=0.01)
    assert known.answer_length == pytest.approx(2.0, rel=0.01)
    assert known.seconds(CallEstimate(100, 10)) == pytest.approx(0.5 + 20 * 0.03, rel=0.02)


def test_a_cached_prompt_does_not_make_prompts_look_cheap() -> None:
    known = Pace(prompt_token=0.01, calls=1)
    known.learn(CallEstimate(1000, 10), answered=10, ttft=0.001, e2e=0.1, cached=990)
    assert known.prompt_token == 0.01
    assert math.isfinite(known.seconds(CallEstimate(1000, 10)))


def test_waiting_for_others_is_not_taken_for_work() -> None:
    known = Pace(prompt_token=1e-3, answer_token=0.01, calls=1)
    for _ in range(5):
        known.learn(CallEstimate(100, 10), answered=10, ttft=60.0, e2e=60.09, cached=0)
        known.learn(CallEstimate(100, 10), answered=10, ttft=0.11, e2e=0.20, cached=0)
    assert known.prompt_token < 2e-3


def test_answers_side_by_side_tell_what_batching_costs() -> None:
    known = Pace(answer_token=0.01)
    known.learn_batching_slowdown(5, pause=0.03)
    assert known.batching_slowdown == pytest.approx(0.5)
    assert known.load(CallEstimate(0, 10)) == pytest.approx(0.05)


def test_nothing_to_do_takes_no_time() -> None:
    assert Pace().together([]) == 0.0


@given(works)
def test_side_by_side_takes_at_least_as_long_as_the_longest_call_and_as_the_slots_allow(
    some: list[CallEstimate],
) -> None:
    for batching_slowdown in (0.0, 0.3, 1.0):
        known = Pace(batching_slowdown=batching_slowdown)
        alone = [known.seconds(work) for work in some]
        assert max(alone, default=0.0) <= known.together(some) + 1e-9
        assert sum(alone) / WIDEST <= known.together(some) + 1e-9


@given(works)
def test_where_batching_costs_as_much_as_oneself_calls_take_as_long_as_one_by_one(some: list[CallEstimate]) -> None:
    known = Pace(batching_slowdown=1.0)
    assert known.together(some) >= sum(known.seconds(work) for work in some) - 1e-6
