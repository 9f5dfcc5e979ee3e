import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cato_lsp.models.cli import app
from cato_lsp.models.local import BUNDLED
from cato_lsp.models.machine import MB, Machine
from cato_lsp.models.pull import PullError, pull


def test_the_list_names_the_bundled_model_and_the_choice() -> None:
    result = CliRunner().invoke(app)
    assert result.exit_code == 0
    assert "bundled" in result.output
    assert "`auto` takes" in result.output


def test_a_pull_without_a_hub_fails_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PullError, match="HF_HUB_OFFLINE is set"):
        pull("Some/Coder")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(PullError, match=r"127\.0\.0\.1:9 cannot be reached.* HF_ENDPOINT"):
        pull("Some/Coder")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that every download ends in: a copy of the bundled model."""
    folder = tmp_path / "models--Some--Coder" / "snapshots" / "abc"
    shutil.copytree(BUNDLED, folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder))
    return folder


def output_of_pull() -> str:
    result = CliRunner().invoke(app, ["pull", "Some/Coder"])
    return " ".join(result.output.split())


@pytest.mark.usefixtures("hub")
def test_a_pull_says_how_the_model_is_used() -> None:
    assert 'Use it with `model = "Some/Coder"`; `auto` takes bundled.' in output_of_pull()


def test_a_pull_says_when_a_model_cannot_fill_in(hub: Path) -> None:
    file = hub / "tokenizer.json"
    file.write_text(file.read_text(encoding="utf-8").replace("fim_", "other_"), encoding="utf-8")
    assert "no fill-in-the-middle tokens" in output_of_pull()


def test_a_pull_says_when_a_model_is_too_large(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.exists()
    monkeypatch.setattr("cato_lsp.models.cli.this_machine", lambda: Machine(memory_bytes=MB, cores=1))
    assert "are much for 1 CPU cores" in output_of_pull()


def test_a_download_that_lacks_a_file_is_an_error(hub: Path) -> None:
    (hub / "config.json").unlink()
    with pytest.raises(PullError, match=r"config\.json is missing"):
        pull("Some/Coder")


def test_every_failed_download_is_reported_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(PullError, match="No space left on device"):
        pull("Some/Coder")


def test_a_wrong_name_is_reported() -> None:
    with pytest.raises(PullError, match="not a model name"):
        pull("a/b/c")
