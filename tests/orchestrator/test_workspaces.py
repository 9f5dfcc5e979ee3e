"""Which cache model a completion gets: of its own client's folders only, and none where it is of no use."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from cato_lsp.config import CompletionSettings, Settings
from cato_lsp.engine.model_folder import ModelFolder
from cato_lsp.orchestrator.workspaces import LARGEST_MODEL, Workspaces
from cato_lsp.tasks.completion import CompletionPlan, CompletionPrompter, CompletionRequest
from cato_lsp.tasks.model_format import read_model_format
from cato_lsp.tasks.snapshot import Snapshot

CODE = "class Widget:\n    def frobnicate(self, table):\n        return self.ultraviolet[table]\n"
HEAD = "class Other:\n    def frobnicate(self, table):\n        return self"


@pytest.fixture(scope="module")
def prompter(model_folder: Path) -> CompletionPrompter:
    form = read_model_format(model_folder)
    return CompletionPrompter(form.tokenizer, form.family)


def model(folder: Path, weights: int = 1) -> ModelFolder:
    return ModelFolder(folder, "llama", "LlamaForCausalLM", 2048, weights, 0)


def ask(
    prompter: CompletionPrompter, root: Path, *, above: str = "", rest: str = ""
) -> tuple[CompletionPlan, Snapshot]:
    snapshot = Snapshot((root / "new.py").as_uri(), "python", 1, above + HEAD + rest)
    plan = prompter.plan(CompletionRequest(snapshot, len(above + HEAD), invoked=True))
    assert plan is not None
    return plan, snapshot


def knows(workspaces: Workspaces, client: str, folder: ModelFolder, asked: tuple[CompletionPlan, Snapshot]) -> bool:
    """Whether the client's cache model knows how the line goes on; waits for the folder to be indexed."""
    assert workspaces.cache(client, folder, *asked, Settings()) is not None
    while not workspaces.idle():
        time.sleep(0.01)
    cache = workspaces.cache(client, folder, *asked, Settings())
    assert cache is not None
    return cache.mixture([], lambda tokens: [True] * len(tokens)) is not None


def test_a_client_learns_from_its_own_folder_and_from_no_other(
    prompter: CompletionPrompter, model_folder: Path, tmp_path: Path
) -> None:
    for name in ("mine", "yours"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine" / "widget.py").write_text(CODE, encoding="utf-8")
    workspaces = Workspaces()
    workspaces.open_folders("me", [tmp_path / "mine"])
    workspaces.open_folders("you", [tmp_path / "yours"])
    assert knows(workspaces, "me", model(model_folder), ask(prompter, tmp_path / "mine"))
    assert not knows(workspaces, "you", model(model_folder), ask(prompter, tmp_path / "yours"))
    assert not knows(workspaces, "you", model(model_folder), ask(prompter, tmp_path / "mine"))


def test_another_document_is_learned_from_before_it_is_saved(
    prompter: CompletionPrompter, model_folder: Path, tmp_path: Path
) -> None:
    workspaces = Workspaces()
    workspaces.open_folders("me", [tmp_path])
    unsaved = Snapshot((tmp_path / "unsaved.py").as_uri(), "python", 1, CODE)
    workspaces.change("me", model(model_folder), unsaved, Settings())
    assert knows(workspaces, "me", model(model_folder), ask(prompter, tmp_path))


def test_what_stands_after_the_cursor_is_not_expected_at_the_cursor(
    prompter: CompletionPrompter, model_folder: Path, tmp_path: Path
) -> None:
    workspaces = Workspaces()
    workspaces.open_folders("me", [tmp_path])
    rest = "\n\n    def other(self):\n        pass\n"
    asked = ask(prompter, tmp_path, rest=rest)
    assert not knows(workspaces, "me", model(model_folder), asked)
    workspaces.change("me", model(model_folder), asked[1], Settings())
    assert not knows(workspaces, "me", model(model_folder), asked)


def test_a_document_is_learned_from_beyond_what_the_prompt_contains(
    prompter: CompletionPrompter, model_folder: Path, tmp_path: Path
) -> None:
    workspaces = Workspaces()
    workspaces.open_folders("me", [tmp_path])
    between = "".join(f"\n\ndef function_{number}(value):\n    return value + {number}\n" for number in range(400))
    asked = ask(prompter, tmp_path, above=CODE + between)
    assert not knows(workspaces, "me", model(model_folder), asked)
    workspaces.change("me", model(model_folder), asked[1], Settings())
    assert knows(workspaces, "me", model(model_folder), asked)


def test_text_that_was_not_saved_is_forgotten_when_its_document_is_closed(
    prompter: CompletionPrompter, model_folder: Path, tmp_path: Path
) -> None:
    workspaces = Workspaces()
    workspaces.open_folders("me", [tmp_path])
    saved, asked = tmp_path / "widget.py", ask(prompter, tmp_path)
    saved.write_text("", encoding="utf-8")
    snapshot = Snapshot(saved.as_uri(), "python", 1, CODE)
    workspaces.change("me", model(model_folder), snapshot, Settings())
    assert knows(workspaces, "me", model(model_folder), asked)
    workspaces.close_document("me", saved.as_uri())
    assert not knows(workspaces, "me", model(model_folder), asked)
    saved.write_text(CODE, encoding="utf-8")
    workspaces.change("me", model(model_folder), replace(snapshot, text=""), Settings())
    assert not knows(workspaces, "me", model(model_folder), asked)
    workspaces.close_document("me", saved.as_uri())
    assert knows(workspaces, "me", model(model_folder), asked)


def test_text_that_was_not_saved_is_forgotten_when_its_client_leaves_a_shared_folder(
    prompter: CompletionPrompter, model_folder: Path, tmp_path: Path
) -> None:
    workspaces = Workspaces()
    for client in ("me", "you"):
        workspaces.open_folders(client, [tmp_path])
    asked = ask(prompter, tmp_path)
    assert not knows(workspaces, "you", model(model_folder), asked)
    unsaved = Snapshot((tmp_path / "unsaved.py").as_uri(), "python", 1, CODE)
    workspaces.change("me", model(model_folder), unsaved, Settings())
    assert knows(workspaces, "you", model(model_folder), asked)
    workspaces.close_client("me")
    assert not knows(workspaces, "you", model(model_folder), asked)


def test_a_file_that_another_program_has_changed_is_learned_from(
    prompter: CompletionPrompter, model_folder: Path, tmp_path: Path
) -> None:
    workspaces = Workspaces()
    workspaces.open_folders("me", [tmp_path])
    asked = ask(prompter, tmp_path)
    assert not knows(workspaces, "me", model(model_folder), asked)
    written = tmp_path / "widget.py"
    written.write_text(CODE, encoding="utf-8")
    workspaces.reread("me", model(model_folder), [written.as_uri(), "untitled:new"], Settings())
    assert knows(workspaces, "me", model(model_folder), asked)


def test_secrets_are_not_learned(prompter: CompletionPrompter, model_folder: Path, tmp_path: Path) -> None:
    workspaces = Workspaces()
    workspaces.open_folders("me", [tmp_path])
    secret = Snapshot((tmp_path / "secrets.py").as_uri(), "python", 1, CODE)
    workspaces.change("me", model(model_folder), secret, Settings())
    assert not knows(workspaces, "me", model(model_folder), ask(prompter, tmp_path))


def test_a_large_model_or_a_disabled_setting_gives_no_cache_model(
    prompter: CompletionPrompter, model_folder: Path, tmp_path: Path
) -> None:
    workspaces = Workspaces()
    workspaces.open_folders("me", [tmp_path])
    asked = ask(prompter, tmp_path)
    assert workspaces.cache("me", model(model_folder, LARGEST_MODEL + 1), *asked, Settings()) is None
    off = Settings(completion=CompletionSettings(workspace=False))
    assert workspaces.cache("me", model(model_folder), *asked, off) is None
    assert workspaces.cache("me", None, *asked, Settings()) is None
    assert workspaces.idle()
