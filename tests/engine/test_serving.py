"""The scheduler as stock vLLM loads it: by its name, with deadlines in flat arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from cato_lsp.scheduling.slo import ServiceClass, TaskKind


@pytest.mark.parametrize(
    ("xargs", "kind", "service", "deadline"),
    [
        ({"cato_slack_ms": 200, "cato_kind": "completion"}, TaskKind.COMPLETION, ServiceClass.TTFT, 10.2),
        ({"cato_slack_ms": "3000", "cato_kind": "translation"}, TaskKind.TRANSLATION, ServiceClass.E2E, 13.0),
        ({"cato_slack_ms": 1, "cato_service": "background"}, TaskKind.GENERATION, ServiceClass.BACKGROUND, math.inf),
    ],
)
def test_a_deadline_is_read_from_xargs(
    xargs: dict[str, Any], kind: TaskKind, service: ServiceClass, deadline: float
) -> None:
    from cato_lsp.engine.serving import slo_of_xargs

    slo = slo_of_xargs({**xargs, "cato_client": "alice"}, 10.0)
    assert slo is not None
    assert (slo.kind, slo.service, slo.deadline, slo.client) == (kind, service, pytest.approx(deadline), "alice")


@pytest.mark.parametrize("slack", ["soon", None, [], math.nan])
def test_invalid_xargs_give_no_deadline(slack: object) -> None:
    from cato_lsp.engine.serving import slo_of_xargs

    assert slo_of_xargs({"cato_slack_ms": slack}, 0.0) is None


def test_an_urgent_request_goes_before_a_long_prompt(start_engine: Callable[..., Any]) -> None:
    from vllm import SamplingParams

    llm = start_engine(scheduler_cls="cato_lsp.engine.serving.CatoScheduler")
    try:
        patient = SamplingParams(
            max_tokens=1, ignore_eos=True, extra_args={"cato_slack_ms": 60_000, "cato_kind": "translation"}
        )
        urgent = SamplingParams(
            max_tokens=1, ignore_eos=True, extra_args={"cato_slack_ms": 100, "cato_kind": "completion"}
        )
        llm.add_request("long", {"prompt_token_ids": [1 + i % 400 for i in range(900)]}, patient)
        llm.step()
        llm.add_request("short", {"prompt_token_ids": [9, 8, 7] * 20}, urgent)
        ended: list[str] = []
        while llm.has_unfinished_requests():
            ended += [output.request_id for output in llm.step() if output.finished]
        assert ended == ["short", "long"]
    finally:
        llm.engine_core.shutdown()
