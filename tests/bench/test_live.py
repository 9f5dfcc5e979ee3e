"""The benchmark of a live engine, as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from cato_lsp.bench.contention import contention

ARGUMENTS = ("--workload", "contention", "--rate", "4", "--duration", "2", "--warmup", "1", "--sla-scale", "10")


@pytest.fixture(scope="module")
def loads(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "live.json"
    command = [sys.executable, "-m", "cato_lsp", "bench", *ARGUMENTS, "--policies", "fcfs,cato", "--json", path]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=600)
    return {load["load"]: load["policies"] for load in json.loads(path.read_text())["sweep"]}


@pytest.mark.parametrize("policy", ["fcfs", "cato"])
def test_every_prompt_of_a_workload_is_computed_whatever_was_played_before(loads, policy) -> None:
    for workload in contention(rate=4, duration=2):
        figures = loads[workload.name][policy]
        assert figures["computed_tokens"] == sum(call.prompt + call.answer - 1 for call in workload.calls)
