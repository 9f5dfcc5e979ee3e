"""Statistics of ended tasks, per kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cato_lsp.orchestrator.record import Source, TaskRecord
from cato_lsp.scheduling.slo import TaskKind


@dataclass(frozen=True, slots=True)
class KindSummary:
    """Statistics of one kind. Times are seconds, ``None`` without tasks."""

    outcomes: dict[str, int]
    deadlines: int
    """Number of tasks whose deadline was met or missed."""
    deadlines_met: int
    """Number of tasks whose deadline was met."""
    ttft_p50: float | None
    ttft_p95: float | None
    e2e_p50: float | None
    e2e_p95: float | None
    without_call: int
    """Answered by type-through."""
    held_back: int
    """Answers not shown, since the model was too unsure of them."""
    prompt_tokens: int
    cached_tokens: int
    tokens_after_cancel: int


def summarize_tasks(records: Iterable[TaskRecord]) -> dict[str, KindSummary]:
    """Statistics by kind, of the kinds that occur."""
    by_kind: dict[TaskKind, list[TaskRecord]] = {}
    for record in records:
        by_kind.setdefault(record.kind, []).append(record)
    return {kind.value: _summary(by_kind[kind]) for kind in TaskKind if kind in by_kind}


def _summary(records: list[TaskRecord]) -> KindSummary:
    judged = [record for record in records if record.met is not None]
    ttfts = [record.ttft for record in judged if record.ttft is not None]
    e2es = [record.e2e for record in judged]
    return KindSummary(
        outcomes=dict(Counter(record.outcome.value for record in records)),
        deadlines=len(judged),
        deadlines_met=sum(bool(record.met) for record in judged),
        ttft_p50=percentile(ttfts, 50),
        ttft_p95=percentile(ttfts, 95),
        e2e_p50=percentile(e2es, 50),
        e2e_p95=percentile(e2es, 95),
        without_call=sum(record.source is not Source.MODEL for record in judged),
        held_back=sum(record.held_back for record in judged),
        prompt_tokens=sum(record.prompt_tokens for record in records),
        cached_tokens=sum(record.cached_tokens for record in records),
        tokens_after_cancel=sum(record.usage.tokens_after_cancel for record in records),
    )


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The nearest-rank percentile; ``None`` without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
