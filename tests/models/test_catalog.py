import shutil
from pathlib import Path

import pytest

from cato_lsp.engine.api import EngineError
from cato_lsp.models.catalog import best_model, resolve_model
from cato_lsp.models.local import BUNDLED, LocalModel, local_models
from cato_lsp.models.machine import MB, Machine

LAPTOP = Machine(memory_bytes=16_000 * MB, cores=4)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hugging Face cache with one whole model in it, and one whose weights are missing."""
    whole = tmp_path / "models--Some--Coder" / "snapshots" / "abc"
    shutil.copytree(BUNDLED, whole)
    broken = tmp_path / "models--Some--Half" / "snapshots" / "def"
    shutil.copytree(BUNDLED, broken)
    (broken / "model.safetensors").unlink()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def model(name: str, megabytes: int) -> LocalModel:
    return LocalModel(name, Path(name), megabytes * MB)


def test_auto_takes_the_largest_model_that_fits() -> None:
    choice = best_model([model("bundled", 13), model("half", 1_000), model("seven", 15_000)], LAPTOP)
    assert choice.name == "half"
    assert "3 local code models" in choice.why
    assert "4 CPU cores" in choice.why


def test_auto_takes_a_larger_model_on_a_gpu() -> None:
    machine = Machine(memory_bytes=16_000 * MB, cores=4, gpu_bytes=80_000 * MB)
    assert best_model([model("bundled", 13), model("seven", 15_000)], machine).name == "seven"


def test_auto_takes_the_bundled_model_when_nothing_fits() -> None:
    tiny = Machine(memory_bytes=MB, cores=1)
    assert best_model([model("bundled", 13), model("half", 1_000)], tiny).name == "bundled"


def test_a_package_without_a_model_is_an_error() -> None:
    with pytest.raises(EngineError):
        best_model([], LAPTOP)


def test_whole_models_in_the_cache_are_listed_and_broken_ones_are_not(hub_cache: Path) -> None:
    assert [m.name for m in local_models(hub_cache)] == ["bundled", "Some/Coder"]


def test_model_folders_inside_a_named_folder_are_listed(tmp_path: Path) -> None:
    shutil.copytree(BUNDLED, tmp_path / "deep" / "own")
    found = list(local_models(tmp_path / "no-cache", [tmp_path]))
    assert [m.path for m in found] == [BUNDLED, tmp_path / "deep" / "own"]


def test_a_model_that_cannot_fill_in_is_not_offered(hub_cache: Path) -> None:
    tokenizer = hub_cache / "models--Some--Coder" / "snapshots" / "abc" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8").replace("fim_", "other_"), encoding="utf-8")
    assert [m.name for m in local_models(hub_cache)] == ["bundled"]


def test_a_cached_model_is_found_by_its_name(hub_cache: Path) -> None:
    assert resolve_model("Some/Coder").path == hub_cache / "models--Some--Coder" / "snapshots" / "abc"


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert resolve_model(str(tmp_path)).path == tmp_path


@pytest.mark.usefixtures("hub_cache")
def test_an_unknown_name_says_how_to_get_the_model() -> None:
    with pytest.raises(EngineError) as caught:
        resolve_model("Other/Coder")
    assert "models pull Other/Coder" in caught.value.remedy
