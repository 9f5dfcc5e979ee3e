"""What the machine can do alone, and the promises that suit it."""

from __future__ import annotations

import time

import pytest

from cato_lsp.config import Settings, SlaSettings, load_settings
from cato_lsp.lsp.backend import Backend
from cato_lsp.orchestrator.calibration import alone_ms, measure, suited
from cato_lsp.orchestrator.pace import Pace
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.tasks.calls import CallEstimate

FAST = Pace(prompt_token=2e-5, answer_token=5e-3)
SLOW = Pace(prompt_token=2e-4, answer_token=0.1)


def test_a_fast_machine_makes_the_usual_promises() -> None:
    assert suited(Settings(), FAST) == Settings()


def test_a_slow_machine_promises_what_it_can_do_alone_with_room_to_spare() -> None:
    alone, hold = alone_ms(SLOW, Settings().completion.prompt_tokens), suited(Settings(), SLOW).sla
    for name, milliseconds in alone.items():
        assert getattr(hold, name) >= min(1.9 * milliseconds, 800), name
    assert hold.completion_ttft_ms == 800
    assert hold.translation_token_ms > 200


def test_a_first_token_that_comes_as_fast_as_any_other_is_no_infinite_speed() -> None:
    pace = Pace()
    pace.learn(CallEstimate(100, 0), 10, ttft=0.01, e2e=0.1, cached=0)
    assert pace.prompt_token > 0


def test_what_a_person_has_set_is_promised_however_slow_the_machine_is() -> None:
    settings, problems = load_settings([])
    assert not problems
    chosen = settings.model_copy(update={"sla": SlaSettings(completion_ttft_ms=100, translation_token_ms=1.0)})
    hold = suited(chosen, SLOW).sla
    assert hold.completion_ttft_ms == 100
    assert hold.translation_token_ms == 1.0
    assert hold.generation_ttft_ms > 500


def test_nobody_is_promised_a_completion_after_more_than_a_second() -> None:
    assert suited(Settings(), Pace(prompt_token=0.1, answer_token=1.0)).sla.completion_ttft_ms == 1000


@pytest.mark.anyio
async def test_the_real_engine_is_measured_in_the_background_within_few_steps(backend: Backend) -> None:
    engine = backend.host.engine
    prompter = await Prompters().coding(engine.folder, engine.context_length)
    before = engine.stats()
    pace = await measure(engine, prompter, time.monotonic)
    assert pace.answer_token > 0
    assert 0.0 <= pace.batching_slowdown <= 1.0
    assert engine.stats().steps - before.steps < 100


@pytest.mark.anyio
async def test_a_started_engine_has_been_measured(backend: Backend) -> None:
    assert backend.orchestrator.acquainted.is_set()
    slower = backend.orchestrator.suited(Settings())
    assert slower.sla.completion_ttft_ms >= Settings().sla.completion_ttft_ms
    assert slower.completion == Settings().completion
