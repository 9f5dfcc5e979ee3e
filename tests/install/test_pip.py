from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cato_lsp.install.errors import SetupError
from cato_lsp.install.pip import Pip


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shown: list[str]) -> Pip:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return Pip(shown.append)


def test_what_pip_prints_goes_to_the_log(pip: Pip) -> None:
    assert pip.run("--version")
    assert pip.log.read_text(encoding="utf-8").startswith("pip ")


def test_a_distribution_that_is_there_is_shown_as_progress(pip: Pip, shown: list[str]) -> None:
    pip.install_or_stop("--no-deps", "--no-index", "pip")
    assert shown[0].startswith("Requirement already satisfied: pip")


def test_a_failure_has_the_error_of_pip_and_the_place_of_the_log(pip: Pip) -> None:
    with pytest.raises(SetupError) as caught:
        pip.install_or_stop("--no-deps", "--no-index", "no-such-distribution-of-cato")
    assert "no-such-distribution-of-cato" in str(caught.value)
    assert str(pip.log) in str(caught.value)
