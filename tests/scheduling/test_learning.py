"""What the policy learns: step costs, answer lengths, shares."""

from __future__ import annotations

import random

import pytest

from cato_lsp.scheduling.cost import StepCost, StepCostModel
from cato_lsp.scheduling.lengths import AnswerLengths
from cato_lsp.scheduling.slo import TaskKind

PER_SEQUENCE = 1e-4


def steps(rng: random.Random, count: int, fixed: float, per_token: float) -> list[StepCost]:
    made: list[StepCost] = []
    for _ in range(count):
        tokens, sequences, context = rng.randint(1, 8000), rng.randint(1, 60), rng.randint(1000, 200_000)
        seconds = fixed + per_token * tokens + PER_SEQUENCE * sequences + 14e-9 * context
        made.append(StepCost(tokens, sequences, context, seconds * rng.uniform(0.97, 1.03)))
    return made


def test_the_cost_model_finds_the_costs_of_a_machine() -> None:
    model = StepCostModel()
    for cost in steps(random.Random(1), 400, 5.8e-3, 24e-6):
        model.learn(cost)
    step = 5.8e-3 + 24e-6 * 2000 + PER_SEQUENCE * 20 + 14e-9 * 60_000
    assert model.costs.seconds(2000, 20, 60_000) == pytest.approx(step, rel=0.05)
    assert model.costs.per_token == pytest.approx(24e-6, rel=0.05)
    assert model.costs.per_sequence == pytest.approx(PER_SEQUENCE, rel=0.3)


def test_the_cost_model_follows_a_machine_that_slows_down() -> None:
    rng, model = random.Random(2), StepCostModel()
    for cost in steps(rng, 500, 5e-3, 20e-6) + steps(rng, 2500, 5e-3, 40e-6):
        model.learn(cost)
    assert model.costs.per_token == pytest.approx(40e-6, rel=0.1)


def test_one_pause_of_the_process_does_not_spoil_the_cost_model() -> None:
    rng, model = random.Random(3), StepCostModel()
    for cost in steps(rng, 500, 5e-3, 20e-6):
        model.learn(cost)
    model.learn(StepCost(10, 1, 1000, 30.0))
    assert model.costs.seconds(2000, 20, 60_000) < 0.1


def test_the_rest_of_an_answer_is_judged_by_the_answers_that_went_as_far() -> None:
    lengths = AnswerLengths(weight=0)
    for length in (10, 20, 30, 400, 500):
        lengths.add(TaskKind.TRANSLATION, length)
    assert lengths.remaining(TaskKind.TRANSLATION, 0) == 30
    assert lengths.remaining(TaskKind.TRANSLATION, 100) == 300
    assert lengths.remaining(TaskKind.TRANSLATION, 800) == 200


def test_old_answers_are_forgotten() -> None:
    lengths = AnswerLengths()
    for length in [1000] * 200 + [10] * 200:
        lengths.add(TaskKind.SUMMARIZATION, length)
    assert lengths.remaining(TaskKind.SUMMARIZATION, 0, 0.99) == 10
