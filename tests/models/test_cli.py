import pytest
from typer.testing import CliRunner

from cato_lsp.models.cli import app
from cato_lsp.models.pull import PullError, pull


def test_the_list_names_the_bundled_model_and_the_choice() -> None:
    result = CliRunner().invoke(app)
    assert result.exit_code == 0
    assert "bundled" in result.output
    assert "`auto` takes" in result.output


def test_a_pull_without_a_hub_fails_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PullError, match="no hub can be reached"):
        pull("Some/Coder")


def test_a_wrong_name_is_said_to_be_one() -> None:
    with pytest.raises(PullError, match="not a model name"):
        pull("a/b/c")
