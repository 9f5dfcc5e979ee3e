"""The deadlines of tasks: from the settings, relaxed where the machine is too slow for the defaults."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cato_lsp.config import Settings, SlaSettings
from cato_lsp.orchestrator.call_times import CallTimes
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import TaskKind
from cato_lsp.tasks.calls import CallEstimate
from cato_lsp.tasks.summarization import EXPECTED_TOKENS
from cato_lsp.tasks.translation import GROWTH

RELAXED = 2.0
"""A deadline that is not set is at least this many times the time that the task needs alone."""
LONGEST_FIRST_TOKEN_MS = {"completion_ttft_ms": 1000, "generation_ttft_ms": 5000}
"""Limits of relaxed deadlines: a later first token is of no use to anybody."""
_PART_TOKENS = 400
"""Tokens of a function of usual length; a summary has a sentence for each."""


def alone_ms(costs: StepCosts, prompt_tokens: int) -> dict[str, float]:
    """For each setting of `SlaSettings`, the time that is needed with nothing else running, in ms.

    :param prompt_tokens: length of the longest prompt of a completion; none of it is in the prefix cache.
    """
    times = CallTimes(costs)
    first = 1000 * times.first_token(prompt_tokens)
    prompt, answer = 1000 * costs.per_token, 1000 * times.next_token(_PART_TOKENS)
    return {
        "completion_ttft_ms": first,
        "generation_ttft_ms": first,
        "summarization_e2e_ms": 2 * EXPECTED_TOKENS * answer,
        "translation_e2e_ms": 2 * EXPECTED_TOKENS * answer,
        "summarization_token_ms": prompt + answer * EXPECTED_TOKENS / _PART_TOKENS,
        "translation_token_ms": prompt + answer * GROWTH,
    }


def relaxed(settings: Settings, costs: StepCosts) -> Settings:
    """The settings, with longer deadlines where none is set and the machine is too slow for the default."""
    defaults = settings.sla
    changed: dict[str, float] = {}
    for name, alone in alone_ms(costs, settings.completion.prompt_tokens).items():
        if name not in defaults.model_fields_set and RELAXED * alone > getattr(defaults, name):
            longer = min(LONGEST_FIRST_TOKEN_MS.get(name, math.inf), math.ceil(RELAXED * alone))
            changed[name] = max(getattr(defaults, name), longer)
    return settings.model_copy(update={"sla": defaults.model_copy(update=changed)}) if changed else settings


def time_allowed(sla: SlaSettings, kind: TaskKind, estimate: Sequence[CallEstimate]) -> float:
    """Seconds from a task's arrival to its deadline: for its first token (generation), or for all of it."""
    tokens = sum(call.prompt_tokens for call in estimate)
    match kind:
        case TaskKind.SUMMARIZATION:
            return (sla.summarization_e2e_ms + tokens * sla.summarization_token_ms) / 1000
        case TaskKind.TRANSLATION:
            return (sla.translation_e2e_ms + tokens * sla.translation_token_ms) / 1000
        case _:
            return sla.generation_ttft_ms / 1000
