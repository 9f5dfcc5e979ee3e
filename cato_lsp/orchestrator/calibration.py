"""A short measurement of what the machine can do, and the promises that suit it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import anyio

from cato_lsp.config import Settings
from cato_lsp.engine.api import Call, Engine
from cato_lsp.orchestrator.pace import Pace
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.calls import CallEstimate
from cato_lsp.tasks.prompts import Prompt, Prompter, summarize
from cato_lsp.tasks.summarization import EXPECTED_TOKENS
from cato_lsp.tasks.translation import GROWTH

TOKENS = 24
"""Length of each answer that is timed."""
BESIDE = 4
"""Answers that are timed side by side."""
ROOM = 2.0
"""What nobody set is promised within so many times what it takes alone, if that is longer than usual."""
LONGEST_FIRST_TOKEN_MS = {"completion_ttft_ms": 1000, "generation_ttft_ms": 5000}
"""Beyond that a promise is of no use to a person."""
_PART_TOKENS = 400
"""A function of usual length, for a sentence about each."""


async def measure(engine: Engine, prompter: Prompter, clock: Callable[[], float]) -> Pace:
    """Time a few short answers in the background class, alone and side by side. Takes some fifty engine steps.

    Raises:
        EngineError: the engine cannot answer.
    """
    prompts = [prompter.prompt(summarize(_sample(number), "python")) for number in range(BESIDE + 2)]
    first, second, *others = [prompt for prompt in prompts if prompt is not None]
    pace = Pace()
    await _timed(engine, first, 2, clock)  # what is slow only once
    alone = await _timed(engine, second, TOKENS, clock)
    work = CallEstimate(len(second.ids), 0)
    pace.learn(work, alone.tokens, alone.ttft, alone.ttft + alone.pause * (alone.tokens - 1), alone.cached)
    timings: list[_Timing] = []

    async def beside(prompt: Prompt) -> None:
        timings.append(await _timed(engine, prompt, TOKENS, clock))

    async with anyio.create_task_group() as group:
        for prompt in others:
            group.start_soon(beside, prompt)
    if alone.tokens > 2:
        pace.learn_batching_slowdown(len(timings), median(each.pause for each in timings))
    return pace


def alone_ms(pace: Pace, prompt_tokens: int) -> dict[str, float]:
    """For each setting of `SlaSettings`, what it takes here in ms with nothing else running.

    :param prompt_tokens: the longest prompt of a completion; none of it is in the cache.
    """
    prompt, answer = 1000 * pace.prompt_token, 1000 * pace.answer_token
    first = prompt_tokens * prompt + answer
    return {
        "completion_ttft_ms": first,
        "generation_ttft_ms": first,
        "summarization_e2e_ms": 2 * EXPECTED_TOKENS * answer,
        "translation_e2e_ms": 2 * EXPECTED_TOKENS * answer,
        "summarization_token_ms": prompt + answer * EXPECTED_TOKENS / _PART_TOKENS,
        "translation_token_ms": prompt + answer * GROWTH,
    }


def suited(settings: Settings, pace: Pace) -> Settings:
    """The settings, with promises that nobody has set made longer where the machine is too slow for the usual ones."""
    usual = settings.sla
    changed: dict[str, float] = {}
    for name, alone in alone_ms(pace, settings.completion.prompt_tokens).items():
        if name not in usual.model_fields_set and ROOM * alone > getattr(usual, name):
            most = LONGEST_FIRST_TOKEN_MS.get(name, math.inf)
            longer = min(most, math.ceil(ROOM * alone))
            changed[name] = max(getattr(usual, name), longer)
    return settings.model_copy(update={"sla": usual.model_copy(update=changed)}) if changed else settings


@dataclass(frozen=True, slots=True)
class _Timing:
    tokens: int
    ttft: float
    pause: float
    """Seconds between two tokens, as a rule."""
    cached: int


async def _timed(engine: Engine, prompt: Prompt, tokens: int, clock: Callable[[], float]) -> _Timing:
    began = clock()
    slo = Slo(TaskKind.WARMUP, ServiceClass.BACKGROUND, began, math.inf, "calibration")
    arrivals: list[float] = []
    answered = cached = 0
    async with engine.submit(Call(prompt.ids, slo, tokens)) as stream:
        async for delta in stream:
            if not arrivals:
                cached = delta.cached_prompt_tokens
            arrivals.append(clock())
            answered += delta.tokens
    pauses = [later - earlier for earlier, later in pairwise(arrivals)] or [0.0]
    return _Timing(answered, (arrivals or [began])[0] - began, median(pauses), cached)


def _sample(number: int) -> str:
    """Code to be read, different for each number from its first line on."""
    return "\n".join(
        f"def step_{number}_{n}(items):\n    return [each * {n + number} for each in items if each > {n}]\n"
        for n in range(12)
    )
