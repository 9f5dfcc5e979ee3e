"""The input of a benchmark: calls with their arrival, size and deadline, exactly repeatable."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

SLA_SECONDS = {
    TaskKind.COMPLETION: 0.2,
    TaskKind.GENERATION: 0.5,
    TaskKind.SUMMARIZATION: 6.0,
    TaskKind.TRANSLATION: 45.0,
    TaskKind.WARMUP: math.inf,
}
"""Deadlines per kind at scale 1, in seconds: of the first token, or for summaries and translations the last token."""

SERVICE = {
    TaskKind.COMPLETION: ServiceClass.TTFT,
    TaskKind.GENERATION: ServiceClass.TTFT,
    TaskKind.SUMMARIZATION: ServiceClass.E2E,
    TaskKind.TRANSLATION: ServiceClass.E2E,
    TaskKind.WARMUP: ServiceClass.BACKGROUND,
}

MAX_ANSWER = {
    TaskKind.COMPLETION: 512,
    TaskKind.GENERATION: 2048,
    TaskKind.SUMMARIZATION: 1024,
    TaskKind.TRANSLATION: 8192,
    TaskKind.WARMUP: 8192,
}
"""The `max_tokens` of a request. No policy knows the real length of an answer."""

PRIORITY = {kind: rank for rank, kind in enumerate(TaskKind)}
"""Priorities for stock vLLM's priority policy: smaller values run first."""


@dataclass(frozen=True, slots=True)
class WorkloadCall:
    """One event in an editor: usually a model call, or only the cancellation of one."""

    time: float
    """Seconds since the start of the run."""
    kind: TaskKind
    client: str
    prompt: int
    """Tokens of the prompt; 0 for an event that only cancels."""
    answer: int
    """Tokens of the answer."""
    document: int = -1
    """Prompts of one document share their beginning; -1: shares it with no other."""
    typed: int = 0
    """How many of the prompt's last tokens are not shared with others of the document."""
    supersedes: bool = False
    """Cancels the live completion of the same client."""
    follows: bool = False
    """The user types the suggested text: if the client's completion has been answered, the event has no effect."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A sequence of calls in order of time, with their deadlines."""

    name: str
    calls: Sequence[WorkloadCall]
    duration: float
    """Seconds during which calls arrive."""
    sla_scale: float = 1.0
    shares_prefixes: bool = False
    sla_seconds: dict[TaskKind, float] = field(default_factory=lambda: dict(SLA_SECONDS))
    weights: dict[TaskKind, float] = field(default_factory=dict[TaskKind, float])
    """Weights of kinds other than 1; not saved."""

    def slo(self, call: WorkloadCall, arrival: float) -> Slo:
        """The SLO of `call` if it arrives at `arrival` (on the clock of the run)."""
        seconds = self.sla_seconds[call.kind] * self.sla_scale
        weight = self.weights.get(call.kind, 1.0)
        return Slo(call.kind, SERVICE[call.kind], arrival, arrival + seconds, call.client, weight)

    def part(self, seconds: float) -> Workload:
        """The first `seconds` of the workload."""
        return replace(self, calls=[c for c in self.calls if c.time < seconds], duration=seconds)

    def save(self, path: Path) -> None:
        """Write the workload, one JSON object a line, so that it can be replayed exactly."""
        head = {
            "name": self.name,
            "duration": self.duration,
            "sla_scale": self.sla_scale,
            "shares_prefixes": self.shares_prefixes,
            "sla_seconds": self.sla_seconds,
        }
        lines = [json.dumps(head), *(json.dumps(asdict(call)) for call in self.calls)]
        path.write_text("\n".join(lines) + "\n")

    @staticmethod
    def load(path: Path) -> Workload:
        """Read what `save` wrote.

        Raises:
            ValueError: the file is not of that form.
        """
        head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
        try:
            calls = [replace(WorkloadCall(**line), kind=TaskKind(line["kind"])) for line in lines]
            sla = {TaskKind(kind): float(seconds) for kind, seconds in head.pop("sla_seconds").items()}
            return Workload(calls=calls, sla_seconds=sla, **head)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a saved workload: {error}") from error


_TOKENS, _STRIDE = 490, 40503
_INVERSE = pow(_STRIDE, -1, _TOKENS)
_CYCLE = [10 + place * _STRIDE % _TOKENS for place in range(_TOKENS)]
"""All tokens that are used, once. A prompt runs through them from a place of its own."""


def token_ids(call: WorkloadCall, index: int) -> list[int]:
    """Invented token ids of a call's prompt. Calls of one document share the beginning, others share nothing.

    `index` is the call's position in its workload.
    """
    shared = max(0, call.prompt - call.typed) if call.document >= 0 else 0
    base = call.document if call.document >= 0 else -1 - index
    own = (index + 1) * 2246822519
    return _invented(base * 2654435761, shared) + _invented(own, call.prompt - shared)


def _invented(seed: int, count: int) -> list[int]:
    """Tokens from 10 to 499. The first four name the seed, so that no two seeds share a block."""
    seed &= 0x7FFFFFFF
    names = [10 + seed // _TOKENS**place % _TOKENS for place in range(min(4, count))]
    start = seed * _INVERSE % _TOKENS
    rounds = (start + count) // _TOKENS + 1
    return names + (_CYCLE * rounds)[start + 4 : start + count]


def clip(value: float, low: float, high: float) -> int:
    """`value`, rounded, within bounds."""
    return int(min(high, max(low, math.floor(value + 0.5))))
