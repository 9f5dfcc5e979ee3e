"""Simulated editors, in which users type.

Each editor alternates between bursts of typing and pauses. Each key requests a completion and cancels the
previous one. A key that types the suggested text makes no request, if the suggestion has arrived. Some pauses
end with a longer task: a generation, a summary or a translation. All events are drawn in advance, so every
policy gets the same ones; only whether a suggestion arrives in time to be typed depends on the run.

Parameters: gaps between keys have mean 239 ms and standard deviation 112 ms, and 6.3 % of keys delete (Dhakal,
Feit, Kristensson, Oulasvirta: Observations on Typing from 136 Million Keystrokes, CHI 2018). Suggestions are
accepted 27 % of the time (Ziegler et al.: Productivity Assessment of Neural Code Completion, MAPS 2022). The
length of bursts and pauses is our own choice: 12 keys and 6 s on average, so that an editor types about a
third of the time.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from cato_lsp.bench.poisson import MIX
from cato_lsp.bench.workload import Workload, WorkloadCall, clip
from cato_lsp.scheduling.slo import TaskKind

KEY_GAP_MEAN, KEY_GAP_DEVIATION = 0.239, 0.112
DELETIONS = 0.063
ACCEPTANCE = 0.27
BURST_KEYS = 12.0
PAUSE_MEAN = 6.0
ASKS_AFTER_PAUSE = 0.12
"""The share of pauses that end with a longer task. The kinds have the proportions of the mix."""
TOKENS_PER_KEY = 0.35

_VARIANCE = math.log(1 + (KEY_GAP_DEVIATION / KEY_GAP_MEAN) ** 2)


def editors(
    count: int, *, rate: float = 1.0, sla_scale: float = 1.0, seed: int = 0, duration: float = 120.0
) -> Workload:
    """The workload `editors`: `count` editors. `rate` scales the speed of typing."""
    calls: list[WorkloadCall] = []
    for number in range(count):
        calls += _editor(number, random.Random(f"{seed}/editor/{number}"), rate, duration)
    calls.sort(key=lambda call: call.time)
    return Workload(f"editors:{count}", calls, duration, sla_scale, shares_prefixes=True)


def _editor(number: int, rng: random.Random, rate: float, duration: float) -> Iterator[WorkloadCall]:
    client = f"editor-{number}"
    time = rng.uniform(0.0, PAUSE_MEAN)
    document, opened = number * 1000, _document_tokens(rng)
    typed = 0.0
    while True:
        following = 0
        for _ in range(1 + int(rng.expovariate(1 / BURST_KEYS))):
            time += rng.lognormvariate(math.log(KEY_GAP_MEAN) - _VARIANCE / 2, math.sqrt(_VARIANCE)) / rate
            if time >= duration:
                return
            if rng.random() < DELETIONS:
                yield WorkloadCall(time, TaskKind.COMPLETION, client, 0, 0, supersedes=True)
                following = 0
                continue
            typed += TOKENS_PER_KEY
            if not following and rng.random() < ACCEPTANCE:
                following = 1 + int(rng.expovariate(0.2))
            yield WorkloadCall(
                time,
                TaskKind.COMPLETION,
                client,
                opened + int(typed),
                clip(rng.lognormvariate(math.log(16), 0.8), 1, 256),
                document=document,
                typed=1,
                supersedes=True,
                follows=following > 0,
            )
            following = max(0, following - 1)
        time += rng.expovariate(1 / PAUSE_MEAN) / rate
        if time >= duration:
            return
        if rng.random() < ASKS_AFTER_PAUSE:
            yield _longer_task(rng, time, client)
        if rng.random() < 0.1:  # another file
            document, opened, typed = document + 1, _document_tokens(rng), 0.0


def _document_tokens(rng: random.Random) -> int:
    return clip(rng.lognormvariate(math.log(1500), 0.8), 100, 7500)


def _longer_task(rng: random.Random, time: float, client: str) -> WorkloadCall:
    kinds = [mix for mix in MIX if mix.kind is not TaskKind.COMPLETION]
    mix = rng.choices(kinds, [m.per_second for m in kinds])[0]
    prompt = clip(rng.lognormvariate(math.log(mix.prompt_median), mix.prompt_sigma), *mix.prompt_bounds)
    answer = clip(rng.lognormvariate(math.log(mix.answer_median), mix.answer_sigma), *mix.answer_bounds)
    return WorkloadCall(time, mix.kind, client, prompt, answer)
