"""The prompt builder that each model gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cato_lsp.config import CompletionSettings
from cato_lsp.engine.api import EngineError
from cato_lsp.engine.model_folder import inspect_model_folder, inspect_tokenizer_folder
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.tasks.families import CATO
from cato_lsp.tasks.prompts import ChatPrompter, PlainPrompter, Prompter
from tests.tasks.conftest import train_byte_level

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("asked", "context", "given"), [(1500, 4096, CATO.prompt_tokens), (600, 4096, 600), (1500, 900, 900 - 128)]
)
async def test_the_prompt_length_is_limited_by_settings_context_and_family(
    model_folder: Path, asked: int, context: int, given: int
) -> None:
    folder = inspect_model_folder(model_folder)
    prompter = await Prompters().completion(folder, CompletionSettings(prompt_tokens=asked), context)
    assert prompter.limits.prompt_tokens == given


async def test_a_context_that_holds_no_prompt_is_an_error(model_folder: Path) -> None:
    with pytest.raises(EngineError, match="cannot complete code"):
        await Prompters().completion(inspect_model_folder(model_folder), CompletionSettings(), 140)


@pytest.mark.parametrize(
    ("template", "prompter"),
    [
        (None, PlainPrompter),
        ("{% for message in messages %}[{{ message['content'] }}]{% endfor %}", ChatPrompter),
        ("{% for %}", PlainPrompter),
    ],
    ids=["none", "one", "a broken one"],
)
async def test_questions_have_the_form_of_the_models_chat_template_if_it_has_a_usable_one(
    tmp_path: Path, template: str | None, prompter: type[Prompter]
) -> None:
    train_byte_level([]).save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    assert type(await Prompters().coding(inspect_tokenizer_folder(tmp_path), 4096)) is prompter
