"""Tasks of many calls in virtual time, on vLLM's real scheduler."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cato_lsp.bench.hardware import load_profile
from cato_lsp.bench.policies import POLICIES
from cato_lsp.bench.workflows import Deadlines, WorkflowRun, mixed_tasks, play

SLOW = replace(load_profile("h200-qwen2.5-coder-7b"), seconds_per_token=100e-6)
"""So slow that forty tasks in twenty seconds are too many."""


def played(deadlines: Deadlines, count: int = 40) -> WorkflowRun:
    return play(mixed_tasks(count, count / 2, seed=1, rate=0.3), deadlines, POLICIES["cato"], SLOW)


def test_the_same_seed_asks_the_same() -> None:
    assert mixed_tasks(20, 10.0, seed=3) == mixed_tasks(20, 10.0, seed=3)
    assert mixed_tasks(20, 10.0, seed=3) != mixed_tasks(20, 10.0, seed=4)


def test_under_overload_deadlines_of_whole_tasks_are_met_more_often_than_with_deadlines_per_call() -> None:
    ours, per_call = played(Deadlines.WORKFLOW), played(Deadlines.PER_CALL)
    assert ours.met >= 1.5 * per_call.met
    assert ours.completions_met > 0.9 * per_call.completions_met
    assert ours.makespan < 1.05 * per_call.makespan


@pytest.mark.parametrize("deadlines", list(Deadlines))
def test_every_task_ends_whatever_the_deadlines(deadlines: Deadlines) -> None:
    run = played(deadlines, count=3)
    assert run.tasks == len(run.latenesses) == 3
    assert run.met == sum(late <= 0 for late in run.latenesses)


def test_a_run_can_be_repeated_exactly() -> None:
    assert played(Deadlines.WORKFLOW, count=6) == played(Deadlines.WORKFLOW, count=6)
