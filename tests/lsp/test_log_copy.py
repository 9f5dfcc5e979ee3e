"""The log of the shared server appears in the log of each window."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cato_lsp.lsp.log_copy import LogCopy


class Target:
    """A file that a log is copied to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)

    @property
    def text(self) -> str:
        return self._path.read_text(encoding="utf-8")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    made = Target(tmp_path / "editor.log")
    yield made
    os.close(made.descriptor)


def append(log: Path, text: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(text)


def test_complete_lines_are_copied_once(tmp_path: Path, target: Target) -> None:
    log = tmp_path / "server.log"
    copy = LogCopy(log, target.descriptor)
    copy.copy()  # there is no log yet
    append(log, "one\ntwo\nhalf of a ")
    copy.copy()
    copy.copy()
    assert target.text == "one\ntwo\n"
    append(log, "line\n")
    copy.copy()
    assert target.text == "one\ntwo\nhalf of a line\n"


def test_the_last_lines_of_a_crashed_server_and_those_of_the_next_one_are_copied(
    tmp_path: Path, target: Target
) -> None:
    log = tmp_path / "server.log"
    copy = LogCopy(log, target.descriptor)
    append(log, "ready\n")
    copy.copy()
    append(log, "crash\n")
    log.replace(log.with_suffix(".1.log"))
    append(log, "started\n")
    copy.copy()
    assert target.text == "ready\ncrash\nstarted\n"


def test_of_a_long_log_only_the_last_lines_are_copied(tmp_path: Path, target: Target) -> None:
    log = tmp_path / "server.log"
    append(log, "".join(f"line {number}\n" for number in range(10_000)))
    LogCopy(log, target.descriptor).copy()
    lines = target.text.splitlines()
    assert 0 < len(lines) < 10_000
    assert lines == [f"line {number}" for number in range(10_000 - len(lines), 10_000)]
