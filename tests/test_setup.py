"""The set-up script with a stand-in for Python and pip, and the lock against pyproject.toml."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ROOT / "cato_lsp" / "install" / "locks"
LOCK_FILES = (LOCKS / "core.txt", LOCKS / "cpu.txt", ROOT / "scripts" / "locks" / "dev.txt")
FLEET = ROOT / "scripts" / "locks" / "fleet.txt"
TORCH = (LOCKS / "torch.txt").read_text(encoding="utf-8").strip()

STAND_IN = """\
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
case "$*" in
    -c*) exit 0 ;;
    *) echo "$@" >>"$here/calls"; if [ -s "$here/fails" ] && echo "$*" | grep -Eqf "$here/fails"; then exit 1; fi ;;
esac
"""


class Project:
    """A copy of what `scripts/setup` needs, with a virtual environment that only notes what is asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("training"))
        shutil.copytree(LOCKS, folder / "cato_lsp" / "install" / "locks")
        shutil.copy(ROOT / "pyproject.toml", folder)
        self.bin = folder / ".venv" / "bin"
        self.bin.mkdir(parents=True)
        for name in ("python", "pip"):
            (self.bin / name).write_text(STAND_IN, encoding="utf-8")
            (self.bin / name).chmod(0o755)

    def fail(self, pattern: str) -> None:
        """Let calls that match fail; an empty pattern lets all work again."""
        (self.bin / "fails").write_text(f"{pattern}\n" if pattern else "", encoding="utf-8")

    def run(self, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "scripts" / "setup"],
            cwd=cwd or self.folder,
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
            env=os.environ | variables,
        )

    def calls(self) -> list[str]:
        file = self.bin / "calls"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [line.partition(" install ")[2] or line for line in lines]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "a folder")


def test_the_machine_is_checked_before_the_engine_and_the_tools_are_downloaded(project: Project) -> None:
    result = project.run()
    assert result.returncode == 0, result.stderr
    assert project.calls() == [
        "--no-deps --require-hashes --requirement cato_lsp/install/locks/core.txt",
        "-m cato_lsp setup --engine cpu --no-check",
        "--no-deps --require-hashes --requirement scripts/locks/dev.txt",
        "--no-deps --require-hashes --requirement scripts/locks/fleet.txt",
        "--no-deps --no-build-isolation --editable .",
    ]


def test_a_machine_that_cannot_run_the_engine_downloads_no_more(project: Project) -> None:
    project.fail("cato_lsp setup")
    assert project.run().returncode == 1
    assert len(project.calls()) == 2


def test_without_a_python_that_has_pip_it_says_what_to_install(project: Project, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname", "cksum", "env", "cat", "rm"):
        (programs / name).symlink_to(str(shutil.which(name)))
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (programs / "python3").chmod(0o755)
    shutil.rmtree(project.folder / ".venv")
    result = project.run(PATH=str(programs))
    assert result.returncode == 1
    assert "sudo apt install python3-venv" in result.stderr


def test_a_second_run_does_nothing_from_whatever_folder(project: Project, tmp_path: Path) -> None:
    project.run()
    project.calls()
    result = project.run(cwd=tmp_path)
    assert (result.returncode, result.stdout, project.calls()) == (0, "", [])


@pytest.mark.parametrize("changed", ["pyproject.toml", "cato_lsp/install/locks/cpu.txt", "scripts/locks/fleet.txt"])
def test_a_change_of_the_pins_installs_again(project: Project, changed: str) -> None:
    project.run()
    project.calls()
    with (project.folder / changed).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert project.run().returncode == 0
    assert len(project.calls()) == 5


def test_a_failed_installation_is_reported_and_the_next_run_continues(project: Project) -> None:
    project.fail("require-hashes")
    result = project.run()
    assert result.returncode == 1
    assert "Run the command again" in result.stderr
    project.calls()
    project.fail("")
    assert project.run().returncode == 0
    assert project.calls()[-1].endswith("--editable .")


def test_ci_installs_the_editors_and_runs_all_test_commands() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.startswith(("scripts/", "report scripts/"))]
    assert commands == [
        "scripts/editors || scripts/editors",
        "scripts/test",
        "report scripts/test_lowest",
        "report scripts/test_bare",
    ]
    assert lines[-1] == 'exit "$result"'


def locked(*files: Path) -> dict[str, list[str]]:
    """The pinned versions of each distribution; several when they differ by Python version."""
    found: dict[str, list[str]] = {}
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for name, version in re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)", text, flags=re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


@pytest.mark.parametrize(
    ("extras", "files"),
    [
        ((), LOCK_FILES[:1]),
        (("cpu", "server"), LOCK_FILES[:2]),
        (("cpu", "server", "dev"), LOCK_FILES),
        (("fleet",), (*LOCK_FILES, FLEET)),
    ],
    ids=["light package", "engine and team server", "developer tools", "fleet"],
)
def test_the_locks_have_every_dependency_in_a_version_that_is_allowed(
    extras: tuple[str, ...], files: tuple[Path, ...]
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = locked(*files) | {"torch": [TORCH.partition("==")[2]]}
    needed = [*project["dependencies"], *(each for extra in extras for each in project["optional-dependencies"][extra])]
    for text in needed:
        wanted = Requirement(text)
        versions = pins.get(canonicalize_name(wanted.name), [])
        assert versions, f"{text} is not in the lock: run scripts/lock"
        assert all(wanted.specifier.contains(version) for version in versions), text


@pytest.mark.parametrize("file", [*LOCK_FILES, FLEET], ids=lambda file: file.name)
def test_every_pin_of_a_lock_has_hashes_and_none_brings_cuda_or_torch(file: Path) -> None:
    blocks = re.split(r"\n(?=[\w])", file.read_text(encoding="utf-8"))[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert not [name for name in locked(file) if re.match(r"torch|cuda|nvidia-(?!ml-py)|triton", name)]


def test_no_distribution_is_in_two_locks() -> None:
    names = [name for file in LOCK_FILES for name in locked(file)]
    assert len(names) == len(set(names))


def test_what_the_tools_of_a_developer_need_is_locked() -> None:
    # model-hosting-container-standards, which vLLM's API server imports, needs these two only to supervise processes.
    known = locked(*LOCK_FILES, LOCKS / "torch.txt").keys() | {"httpx", "supervisor"}
    missing = {
        f"{name} needs {need.name}"
        for name in locked(LOCK_FILES[-1])
        if (distribution := installed(name)) is not None
        for need in map(Requirement, distribution.requires or ())
        if (need.marker is None or need.marker.evaluate({"extra": ""})) and canonicalize_name(need.name) not in known
    }
    assert not missing


def installed(name: str) -> Distribution | None:
    try:
        return Distribution.from_name(name)
    except PackageNotFoundError:  # for another Python
        return None
