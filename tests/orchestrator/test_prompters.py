"""The prompt builder that each model gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from cato_lsp.config import CompletionSettings
from cato_lsp.engine.api import EngineError
from cato_lsp.engine.model_folder import inspect_model_folder
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.tasks.families import CATO

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
