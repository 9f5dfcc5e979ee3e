"""Deadlines that the machine can meet."""

from __future__ import annotations

import pytest

from cato_lsp.config import Settings, SlaSettings, load_settings
from cato_lsp.lsp.backend import Backend
from cato_lsp.orchestrator.call_times import CallTimes
from cato_lsp.orchestrator.deadlines import alone_ms, relaxed
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.tasks.calls import CallEstimate
from cato_lsp.tasks.summarization import EXPECTED_TOKENS

FAST = StepCosts(fixed=5e-3, per_token=2e-5)
SLOW = StepCosts(fixed=0.1, per_token=2e-4)


def test_a_fast_machine_keeps_the_default_deadlines() -> None:
    assert relaxed(Settings(), FAST) == Settings()


def test_a_slow_machine_gets_twice_the_time_that_it_needs_alone() -> None:
    alone, hold = alone_ms(SLOW, Settings().completion.prompt_tokens), relaxed(Settings(), SLOW).sla
    for name, milliseconds in alone.items():
        assert getattr(hold, name) >= min(1.9 * milliseconds, 800), name
    assert 800 <= hold.completion_ttft_ms <= 1000
    assert hold.translation_token_ms > 200
    two_answers = CallTimes(SLOW).seconds(CallEstimate(0, 2 * EXPECTED_TOKENS))
    assert hold.summarization_e2e_ms == pytest.approx(2 * 1000 * two_answers, rel=0.05), "its input is counted apart"


def test_a_deadline_that_was_set_is_not_relaxed() -> None:
    settings, problems = load_settings([])
    assert not problems
    chosen = settings.model_copy(update={"sla": SlaSettings(completion_ttft_ms=100, translation_token_ms=1.0)})
    hold = relaxed(chosen, SLOW).sla
    assert hold.completion_ttft_ms == 100
    assert hold.translation_token_ms == 1.0
    assert hold.generation_ttft_ms > 500


def test_the_deadline_of_a_completion_is_relaxed_to_a_second_at_most() -> None:
    assert relaxed(Settings(), StepCosts(fixed=1.0, per_token=0.1)).sla.completion_ttft_ms == 1000


@pytest.mark.anyio
async def test_a_started_engine_knows_the_costs_of_its_steps(backend: Backend) -> None:
    costs = backend.host.engine.cost()
    assert costs.steps > 0
    assert costs != StepCosts(steps=costs.steps)
    hold = backend.orchestrator.relaxed(Settings())
    assert hold.sla.completion_ttft_ms >= Settings().sla.completion_ttft_ms
    assert hold.completion == Settings().completion
