"""Libraries that the system lacks: found, fetched with apt without root, or named with the command to type."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from cato_lsp.engine import libraries
from cato_lsp.install.errors import SetupError
from cato_lsp.install.system_libraries import how_to_install, provide_libraries

ABSENT = "libnuma.so.1"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search path without package managers, and an environment without libraries of its own."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "mkdir", "cp", "touch", "test"):
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    return folder


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no libnuma; a file in the environment's own folder counts as loaded."""

    def load(name: str) -> bool:
        return Path(name).exists() if name.endswith(ABSENT) else True

    monkeypatch.setattr(libraries, "_load", load)


def add(folder: Path, name: str, script: str = "exit 1") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def test_nothing_is_fetched_where_all_libraries_load(programs: Path) -> None:
    assert libraries.load_libraries() == []
    assert provide_libraries() == []
    assert not libraries.library_folder().exists()


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize("lists_are_there", [True, False])
def test_on_debian_the_package_is_unpacked_into_the_environment(programs: Path, lists_are_there: bool) -> None:
    """Without the system's package lists, as in most container images, they are fetched into a private folder."""
    refuse = "" if lists_are_there else 'case "$1" in download) exit 100 ;; esac;'
    add(programs, "apt-get", refuse + 'case "$*" in *download*libnuma1) touch libnuma1_2_amd64.deb ;; esac')
    add(programs, "dpkg-deb", 'mkdir -p "$3/usr/lib" && cp "$2" "$3/usr/lib/libnuma.so.1"')
    assert provide_libraries() == [ABSENT]
    assert (libraries.library_folder() / ABSENT).is_file()
    assert provide_libraries() == []


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
