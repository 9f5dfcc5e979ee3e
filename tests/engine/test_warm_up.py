"""The engine on a CPU compiles nothing, and so needs no compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import math
from cato_lsp.config import EngineSettings
from cato_lsp.engine.api import Call
from cato_lsp.engine.launch import Launch, prepare_environment
from cato_lsp.engine.model_folder import inspect_model_folder
from cato_lsp.models.catalog import resolve_model
from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

launch = Launch(resolve_model("bundled").path, EngineSettings(threads=1))
prepare_environment(launch)

from cato_lsp.engine.vllm_core import VllmCore
from torch._dynamo.utils import counters

core = VllmCore(launch, inspect_model_folder(launch.model), CatoPolicy(), lambda step: None)
slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, 0.0, math.inf, "")
core.add("first", Call((1, 2, 3), slo, max_tokens=4, scored=True))
tokens = 0
while core.busy:
    tokens += sum(delta.tokens for _, delta in core.step())
print("tokens", tokens, "compiled", counters["frames"]["total"])
"""


def test_a_scored_completion_needs_no_compiler(tmp_path: Path) -> None:
    """vLLM compiles the function that ranks log probabilities at its first use, with whatever CXX names."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TORCH")}
    variables |= {"CXX": "/no/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False, env=variables
    )
    assert "tokens 4 compiled 0" in run.stdout.splitlines(), run.stderr[-2000:]
