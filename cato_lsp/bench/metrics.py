"""The metrics of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from cato_lsp.bench.result import CallResult, Run
from cato_lsp.scheduling.slo import ServiceClass, TaskKind

KINDS = (TaskKind.COMPLETION, TaskKind.GENERATION, TaskKind.SUMMARIZATION, TaskKind.TRANSLATION)


def quantile(values: Sequence[float], q: float) -> float:
    """The `q`-quantile of sorted values, by linear interpolation; NaN if there are none."""
    if not values:
        return math.nan
    place = q * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def kind_summary(results: Iterable[CallResult]) -> dict[str, float]:
    """Attainment and latencies of calls of one kind. Cancelled calls count only if they were answered before."""
    judged = [o for o in results if math.isnan(o.cancelled) or o.met]
    ttft = sorted(o.ttft for o in judged if not math.isnan(o.first))
    e2e = sorted(o.e2e for o in judged if not math.isnan(o.last))
    summary: dict[str, float] = {
        "n": len(judged),
        "attained": sum(o.met for o in judged) / len(judged) if judged else math.nan,
    }
    summary |= {f"ttft_p{q}": quantile(ttft, q / 100) for q in (50, 90, 95, 99)}
    summary |= {f"e2e_p{q}": quantile(e2e, q / 100) for q in (50, 90, 95)}
    return summary


def run_summary(run: Run) -> dict[str, Any]:
    """All figures of a run, ready for JSON (see `docs/benchmarks.md` for their meaning)."""
    results = run.results
    computed = sum(o.computed for o in results)
    due = [o for o in results if o.slo.service is not ServiceClass.BACKGROUND]
    background = computed - sum(o.computed for o in due)
    return {
        "goodput_per_s": sum(o.met for o in due) / run.duration,
        "offered_per_s": len(due) / run.duration,
        "throughput_tokens_per_s": computed / run.makespan,
        "makespan_s": run.makespan,
        "utilization": run.busy / run.makespan,
        "background_tokens_per_s": background / run.makespan,
        "wasted_tokens": sum(o.wasted for o in results),
        "computed_tokens": computed,
        "cancelled": sum(not math.isnan(o.cancelled) for o in results),
        "steps": len(run.steps),
        "policy_errors": run.policy_errors,
        "machine": run.machine,
        "kinds": {kind.value: kind_summary([o for o in results if o.slo.kind is kind]) for kind in KINDS},
    }
