"""The set-up script with a stand-in for Python and pip, and the lock against pyproject.toml."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ROOT / "scripts" / "locks"

STAND_IN = """\
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
case "$*" in
    *importlib.metadata*) cat "$here/torch" 2>/dev/null || exit 1 ;;
    -c*) exit 0 ;;
    *) echo "$@" >>"$here/calls"; if [ -s "$here/fails" ] && echo "$*" | grep -Eqf "$here/fails"; then exit 1; fi ;;
esac
"""


class Project:
    """A copy of what `scripts/setup` needs, with a virtual environment that only notes what is asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("training"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        self.bin = folder / ".venv" / "bin"
        self.bin.mkdir(parents=True)
        for name in ("python", "pip"):
            (self.bin / name).write_text(STAND_IN, encoding="utf-8")
            (self.bin / name).chmod(0o755)

    def fail(self, pattern: str) -> None:
        """Let pip fail when its arguments match; an empty pattern lets it work again."""
        (self.bin / "fails").write_text(f"{pattern}\n" if pattern else "", encoding="utf-8")

    def run(self, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "scripts" / "setup"],
            cwd=cwd or self.folder,
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        file = self.bin / "calls"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [line.partition(" install ")[2] for line in lines]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "a folder")


TORCH = (LOCKS / "torch.txt").read_text(encoding="utf-8").strip()


def test_the_locked_packages_are_installed_without_dependencies_and_with_hashes(project: Project) -> None:
    result = project.run()
    assert result.returncode == 0, result.stderr
    assert project.calls() == [
        f"--no-deps {TORCH}",
        "--no-deps --require-hashes --requirement scripts/locks/cpu.txt",
        "--no-deps --no-build-isolation --editable .",
    ]


def test_a_second_run_does_nothing_from_whatever_folder(project: Project, tmp_path: Path) -> None:
    project.run()
    project.calls()
    result = project.run(cwd=tmp_path)
    assert (result.returncode, result.stdout, project.calls()) == (0, "", [])


@pytest.mark.parametrize("changed", ["pyproject.toml", "scripts/locks/cpu.txt", "scripts/locks/torch.txt"])
def test_a_change_of_the_pins_installs_again(project: Project, changed: str) -> None:
    project.run()
    project.calls()
    with (project.folder / changed).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert project.run().returncode == 0
    assert len(project.calls()) == 3


def test_an_installed_torch_is_not_fetched_again(project: Project) -> None:
    (project.bin / "torch").write_text(f"{TORCH}\n", encoding="utf-8")
    project.run()
    assert not any(TORCH in call for call in project.calls())


def test_torch_is_looked_for_at_pytorch_when_pip_has_no_cpu_build(project: Project) -> None:
    project.fail(f"^-m pip .* install --no-deps {re.escape(TORCH)}".replace(r"\+", "[+]"))
    assert project.run().returncode == 0
    assert f"--no-deps --index-url https://download.pytorch.org/whl/cpu {TORCH}" in project.calls()


def test_without_a_cpu_build_of_torch_it_stops_and_says_what_to_do(project: Project) -> None:
    project.fail("torch")
    result = project.run()
    assert result.returncode == 1
    assert "PIP_FIND_LINKS" in result.stderr
    assert len(project.calls()) == 2


def test_a_failed_installation_is_told_and_the_next_run_goes_on(project: Project) -> None:
    project.fail("require-hashes")
    result = project.run()
    assert result.returncode == 1
    assert "Run the command again" in result.stderr
    project.calls()
    project.fail("")
    assert project.run().returncode == 0
    assert project.calls()[-1].endswith("--editable .")


def test_ci_installs_the_editors_and_runs_the_test_command() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-2:] == ["scripts/editors || scripts/editors", "exec scripts/test"]


def locked() -> dict[str, list[str]]:
    """The pinned versions of each distribution; several when they differ by Python version."""
    found: dict[str, list[str]] = {}
    text = (LOCKS / "cpu.txt").read_text(encoding="utf-8")
    for name, version in re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)", text, flags=re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def test_the_lock_has_every_dependency_in_a_version_that_is_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    pins = locked() | {"torch": [TORCH.partition("==")[2]]}
    for text in [*project["dependencies"], *extras["cpu"], *extras["dev"], *extras["server"]]:
        wanted = Requirement(text)
        versions = pins.get(canonicalize_name(wanted.name), [])
        assert versions, f"{text} is not in the lock: run scripts/lock"
        assert all(wanted.specifier.contains(version) for version in versions), text


def test_every_pin_of_the_lock_has_hashes_and_none_brings_cuda_or_torch() -> None:
    blocks = re.split(r"\n(?=[\w])", (LOCKS / "cpu.txt").read_text(encoding="utf-8"))[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert not [name for name in locked() if re.match(r"torch|cuda|nvidia-(?!ml-py)|triton", name)]
