"""A started engine has nothing left to set up."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import math
from torch._dynamo.utils import counters
from cato_lsp.config import EngineSettings
from cato_lsp.engine.api import Call
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.model_folder import inspect_model_folder
from cato_lsp.engine.vllm_core import VllmCore
from cato_lsp.models.catalog import resolve_model
from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

launch = Launch(resolve_model("bundled").path, EngineSettings(threads=1))
core = VllmCore(launch, inspect_model_folder(launch.model), CatoPolicy(), lambda step: None)
before = counters["frames"]["total"]
slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, 0.0, math.inf, "")
core.add("first", Call((1, 2, 3), slo, max_tokens=4, scored=True))
while core.busy:
    core.step()
print("compiled", before > 0, counters["frames"]["total"] - before)
"""


@pytest.mark.timeout(1200)
def test_the_first_scored_completion_compiles_nothing() -> None:
    """A process of its own: vLLM compiles once in a process, and other tests have scored calls before."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=1200, check=False)
    assert "compiled True 0" in run.stdout.splitlines(), run.stderr[-2000:]
