"""The engine on a CPU needs no compiler, and nothing that only the developer tools install."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LOCKS = Path(__file__).parents[2] / "scripts" / "locks"
PROGRAM = """
import importlib.metadata
import math
import sys
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
owners = importlib.metadata.packages_distributions()
print("imported", *{owner for name in sys.modules for owner in owners.get(name, ())})
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the program prints where there is no compiler."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TORCH")}
    variables |= {"CXX": "/no/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path_factory.mktemp("inductor"))}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False, env=variables
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.splitlines()


def test_a_scored_completion_needs_no_compiler(output: list[str]) -> None:
    """vLLM compiles the function that ranks log probabilities at its first use, with whatever CXX names."""
    assert "tokens 4 compiled 0" in output


def test_the_engine_imports_nothing_that_only_developers_install(output: list[str]) -> None:
    (imported,) = (line.split()[1:] for line in output if line.startswith("imported "))
    tools = re.findall(r"^([\w.-]+)==", (LOCKS / "dev.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert "torch" in imported
    assert not {name.replace("_", "-").lower() for name in imported} & set(tools)
