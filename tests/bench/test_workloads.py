"""Workloads, figures and the bound, without an engine."""

from __future__ import annotations

import json
import math
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cato_lsp.bench.clairvoyant import clairvoyant_met, least_work
from cato_lsp.bench.cli import app
from cato_lsp.bench.editors import editors
from cato_lsp.bench.hardware import HardwareProfile, load_profile
from cato_lsp.bench.metrics import quantile
from cato_lsp.bench.poisson import poisson
from cato_lsp.bench.policies import parse_policies
from cato_lsp.bench.specs import make_workload
from cato_lsp.bench.trace import read_trace
from cato_lsp.bench.workload import Workload, WorkloadCall, token_ids
from cato_lsp.scheduling.slo import TaskKind

PROFILE = load_profile("h200-qwen2.5-coder-7b")

TRACE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:17:05.9799600,110,27
"""


@pytest.mark.parametrize("spec", ["poisson", "editors:5"])
def test_a_saved_workload_is_replayed_exactly(spec: str, tmp_path: Path) -> None:
    workload = make_workload(spec, seed=3, duration=20, sla_scale=1.5)
    workload.save(tmp_path / "saved.jsonl")
    assert make_workload(f"replay:{tmp_path / 'saved.jsonl'}") == workload


def test_a_seed_gives_the_same_calls_and_another_seed_others() -> None:
    assert poisson(seed=1, duration=20).calls == poisson(seed=1, duration=20).calls
    assert poisson(seed=1, duration=20).calls != poisson(seed=2, duration=20).calls


def test_the_mix_has_the_rates_and_sizes_it_says() -> None:
    calls = poisson(rate=2.0, seed=0, duration=300).calls
    prompts = sorted(c.prompt for c in calls if c.kind is TaskKind.COMPLETION)
    assert len(prompts) / 300 == pytest.approx(20.0, rel=0.05)
    assert quantile(prompts, 0.5) == pytest.approx(1500, rel=0.05)
    assert (prompts[0], prompts[-1]) == (pytest.approx(100, abs=50), 7500)
    assert sum(c.kind is TaskKind.TRANSLATION for c in calls) / 300 == pytest.approx(1.0, rel=0.2)


def test_a_trace_is_played_as_fast_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    assert read_trace(path) == [(0.0, 4808, 10), (pytest.approx(0.052), 3180, 8), (2.0, 110, 27)]
    workload = make_workload(f"trace:{path}", rate=4.0)
    completions = [c for c in workload.calls if c.kind is TaskKind.COMPLETION]
    assert [c.time for c in completions] == pytest.approx([0.0, 0.013, 0.5])


def test_people_type_at_the_published_pace() -> None:
    calls = editors(20, seed=0, duration=200).calls
    keys: dict[str, list[float]] = {}
    for call in calls:
        if call.kind is TaskKind.COMPLETION:
            keys.setdefault(call.client, []).append(call.time)
    gaps = sorted(b - a for times in keys.values() for a, b in pairwise(times))
    assert quantile(gaps, 0.4) == pytest.approx(0.2, abs=0.05)
    deletions = sum(c.prompt == 0 for c in calls) / len(calls)
    assert deletions == pytest.approx(0.063, abs=0.01)


def test_prompts_of_one_document_share_their_beginning() -> None:
    first = WorkloadCall(0, TaskKind.COMPLETION, "a", 100, 5, document=7, typed=1)
    second = WorkloadCall(1, TaskKind.COMPLETION, "a", 103, 5, document=7, typed=1)
    other = WorkloadCall(2, TaskKind.COMPLETION, "a", 103, 5, document=8, typed=1)
    assert token_ids(first, 0)[:99] == token_ids(second, 1)[:99]
    assert token_ids(first, 0)[:99] != token_ids(other, 2)[:99]


def test_the_bound_is_what_the_best_order_keeps_when_nothing_overlaps_in_part() -> None:
    machine = HardwareProfile("slow", "test", 1e-9, 1e-4, 0.0, 0.0, 10**6, 64, 8192, 16384)
    calls = [WorkloadCall(0.0, TaskKind.COMPLETION, "a", prompt, 1) for prompt in (300, 700, 900, 1500)]
    workload = Workload("burst", calls, 1.0)
    work = [least_work(call, workload, machine) for call in calls]
    best = max(n for n in range(5) for chosen in combinations(work, n) if sum(chosen) <= 0.2)
    kept = clairvoyant_met(workload, machine)[TaskKind.COMPLETION]
    assert best <= kept < best + 1


def test_unknown_names_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="known: poisson"):
        make_workload("nonsense")
    with pytest.raises(ValueError, match="clairvoyant"):
        parse_policies("cato,nonsense")
    with pytest.raises(ValueError, match="shipped: "):
        load_profile("nonsense")
    path = tmp_path / "x.jsonl"
    path.write_text('{"name": 1}\n')
    with pytest.raises(ValueError, match="not a saved workload"):
        make_workload(f"replay:{path}")


def test_simulate_writes_figures_and_a_report(tmp_path: Path) -> None:
    figures, report = tmp_path / "figures.json", tmp_path / "report.html"
    arguments = ["simulate", "--policies", "edf,cato,clairvoyant", "--duration", "3", "--rate", "0.5,1.0"]
    result = CliRunner().invoke(app, [*arguments, "--json", str(figures), "--report", str(report)])
    assert result.exit_code == 0, result.output
    document = json.loads(figures.read_text())
    assert document["workload"] == "poisson"
    assert set(document["policies"]) == {"edf", "cato", "clairvoyant"}
    completion = document["policies"]["cato"]["kinds"]["completion"]
    assert {"n", "attained", "ttft_p50", "ttft_p90", "ttft_p95", "ttft_p99", "e2e_p50"} <= set(completion)
    assert [point["rate"] for point in document["sweep"]] == [0.5, 1.0]
    assert report.read_text().count("<svg") == 4


def test_quantiles_interpolate() -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    assert math.isnan(quantile([], 0.5))
