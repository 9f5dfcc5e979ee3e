"""The metrics' names, and the dashboard that reads them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from cato_lsp.engine.api import EngineStats
from cato_lsp.gateway.deadlines import Outcome, judge
from cato_lsp.gateway.metrics import Metrics
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    known = re.findall(r"^# TYPE (\S+)", Metrics(EngineStats).exposition().decode(), re.MULTILINE)
    asked = set[str]()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            asked |= set(re.findall(r"(?:cato_|vllm:)\w+", target["expr"]))
    assert asked
    assert {name.removesuffix("_bucket") for name in asked} <= set(known)


def test_attainment_has_a_value_before_a_deadline_is_missed() -> None:
    text = Metrics(EngineStats).exposition().decode()
    for kind in TaskKind:
        for outcome in ("met", "missed"):
            assert f'cato_deadlines_total{{kind="{kind.value}",outcome="{outcome}"}} 0.0' in text


def test_refusals_have_a_value_before_a_call_is_refused() -> None:
    text = Metrics(EngineStats).exposition().decode()
    for reason in ("calls", "tokens", "prompt", "rate", "queue", "unavailable"):
        assert f'cato_refused_calls_total{{reason="{reason}"}} 0.0' in text


@pytest.mark.parametrize(
    ("service", "first", "ended", "finished", "outcome"),
    [
        (ServiceClass.TTFT, 9.0, 50.0, True, Outcome.MET),
        (ServiceClass.TTFT, 9.0, 9.5, False, Outcome.MET),
        (ServiceClass.TTFT, 11.0, 12.0, True, Outcome.MISSED),
        (ServiceClass.TTFT, None, 5.0, False, Outcome.CANCELLED),
        (ServiceClass.TTFT, None, 15.0, False, Outcome.MISSED),
        (ServiceClass.E2E, 1.0, 9.0, True, Outcome.MET),
        (ServiceClass.E2E, 1.0, 11.0, True, Outcome.MISSED),
        (ServiceClass.E2E, 1.0, 9.0, False, Outcome.CANCELLED),
    ],
)
def test_deadlines_are_judged_by_their_class(
    service: ServiceClass, first: float | None, ended: float, finished: bool, outcome: Outcome
) -> None:
    slo = Slo(TaskKind.COMPLETION, service, 0.0, 10.0, "alice")
    assert judge(slo, first, ended, finished=finished, failed=False) is outcome


def test_a_call_without_a_deadline_misses_none() -> None:
    slo = Slo(TaskKind.WARMUP, ServiceClass.BACKGROUND, 0.0, math.inf, "alice")
    assert judge(slo, 1.0, 99.0, finished=True, failed=False) is Outcome.NONE
    assert judge(slo, None, 99.0, finished=False, failed=True) is Outcome.FAILED
