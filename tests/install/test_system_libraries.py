"""Libraries that the system lacks: found, fetched with apt without root, or named with the command to type."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from cato_lsp.engine import libraries
from cato_lsp.install import system_libraries
from cato_lsp.install.errors import SetupError
from cato_lsp.install.system_libraries import how_to_install, library_folder, provide_libraries

ABSENT = "libnuma.so.1"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own, whose Python only has the standard library."""
    folder = tmp_path / "env"
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setattr(sysconfig, "get_path", {"purelib": str(packages)}.__getitem__)
    return folder


@pytest.fixture
def programs(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search path without package managers."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "mkdir", "cp", "touch", "test"):
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no libnuma."""
    monkeypatch.setattr(libraries, "load", lambda name: name != ABSENT)


def loaded(python: Path | str, library: str, *before: str) -> str:
    """The file of a library that a new process of an environment has loaded, after the statements `before`; or ""."""
    maps = f"print(*{{line.split()[-1] for line in open('/proc/self/maps') if line.strip().endswith('/{library}')}})"
    command = [str(python), "-c", "\n".join([*before, maps])]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def add(folder: Path, name: str, script: str = "exit 1") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


@pytest.mark.usefixtures("programs")
def test_nothing_is_fetched_where_all_libraries_load() -> None:
    assert libraries.missing_libraries() == []
    assert provide_libraries() == []
    assert not library_folder().exists()


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize("lists_are_there", [True, False])
def test_each_process_of_the_environment_has_what_was_fetched_from_debian(
    environment: Path, programs: Path, lists_are_there: bool
) -> None:
    """Without the system's package lists, as in most container images, they are fetched into a private folder."""
    some_library = loaded(sys.executable, "libgcc_s.so.1", "import ctypes", "ctypes.CDLL('libgcc_s.so.1')")
    refuse = "" if lists_are_there else 'case "$1" in download) exit 100 ;; esac;'
    download = f'case "$*" in *download*libnuma1) cp {some_library} libnuma1_2_amd64.deb ;; esac'
    add(programs, "apt-get", refuse + download)
    add(programs, "dpkg-deb", 'mkdir -p "$3/usr/lib" && cp "$2" "$3/usr/lib/libnuma.so.1"')
    assert loaded(environment / "bin" / "python", ABSENT) == ""
    assert provide_libraries() == [ABSENT]
    assert loaded(environment / "bin" / "python", ABSENT) == str(library_folder() / ABSENT)


@pytest.mark.usefixtures("missing")
def test_a_fetched_library_that_was_removed_again_disturbs_no_process(
    environment: Path, monkeypatch: pytest.MonkeyPatch, programs: Path
) -> None:
    add(programs, "apt-get")
    add(programs, "dpkg-deb")
    library_folder().mkdir(parents=True)
    (library_folder() / ABSENT).touch()
    monkeypatch.setattr(system_libraries, "load", lambda path: Path(path).exists())
    assert provide_libraries() == [ABSENT]
    (library_folder() / ABSENT).unlink()
    done = subprocess.run([environment / "bin" / "python", "-c", ""], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("apt-get", "sudo apt-get install libnuma1"),
        ("dnf", "sudo dnf install numactl-libs"),
        ("pacman", "sudo pacman -S numactl"),
        ("zypper", "sudo zypper install libnuma1"),
    ],
)
def test_where_it_cannot_be_fetched_the_one_command_is_named(programs: Path, manager: str, command: str) -> None:
    add(programs, manager)
    assert how_to_install([ABSENT]) == command
    with pytest.raises(SetupError, match=command):
        provide_libraries()
