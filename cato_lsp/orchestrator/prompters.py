"""Loads and caches the prompt builders of models. Loading does not block the event loop."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import lru_cache

import anyio
import anyio.to_thread

from cato_lsp.config import CompletionSettings
from cato_lsp.engine.api import EngineError
from cato_lsp.engine.model_folder import ModelFolder
from cato_lsp.tasks.chat_template import ChatTemplateError, read_chat_template
from cato_lsp.tasks.completion import CompletionLimits, CompletionPrompter
from cato_lsp.tasks.families import CATO
from cato_lsp.tasks.model_format import ModelFormat, read_model_format
from cato_lsp.tasks.prompts import CatoPrompter, ChatPrompter, PlainPrompter, Prompter
from cato_lsp.tasks.tokenizer import TokenizerError

logger = logging.getLogger(__name__)


class Prompters:
    """The prompt builders by model and completion settings."""

    def __init__(self) -> None:
        self._prompters: dict[tuple[ModelFolder, CompletionSettings], CompletionPrompter] = {}
        self._coding: dict[ModelFolder, Prompter] = {}
        self._loading = anyio.Lock()

    async def completion(
        self, folder: ModelFolder, settings: CompletionSettings, context_length: int
    ) -> CompletionPrompter:
        """The prompter of the model in ``folder``, whose calls hold ``context_length`` tokens.

        Raises:
            EngineError: the tokenizer cannot be read, or the context window holds no useful prompt.
        """
        async with self._loading:
            if (found := self._prompters.get((folder, settings))) is None:
                found = await anyio.to_thread.run_sync(_load, folder, settings, context_length)
                self._prompters[folder, settings] = found
        return found

    async def coding(self, folder: ModelFolder, context_length: int) -> Prompter:
        """What builds the prompts of code actions for the model in ``folder``.

        Raises:
            EngineError: the tokenizer cannot be read.
        """
        async with self._loading:
            if (found := self._coding.get(folder)) is None:
                found = await anyio.to_thread.run_sync(_load_coding, folder, context_length)
                self._coding[folder] = found
        return found

    def known(self, folder: ModelFolder) -> Prompter | None:
        """The result of `coding`, if it is loaded."""
        return self._coding.get(folder)


def _load_coding(folder: ModelFolder, context_length: int) -> Prompter:
    try:
        form = _format(folder)
    except TokenizerError as error:
        raise EngineError(f"{folder.path.name} cannot be used: {error}.", "Choose another model.") from error
    if form.family is CATO:
        return CatoPrompter(form.tokenizer, context_length, form.eos_token_ids)
    try:
        template = read_chat_template(folder.path, form.tokenizer, datetime.now().astimezone())
    except ChatTemplateError as error:
        logger.warning("%s: its chat template is not used: %s", folder.path.name, error)
        template = None
    if template is None:
        return PlainPrompter(form.tokenizer, context_length, form.eos_token_ids)
    return ChatPrompter(form.tokenizer, template, context_length, form.eos_token_ids)


def _load(folder: ModelFolder, settings: CompletionSettings, context_length: int) -> CompletionPrompter:
    try:
        form = _format(folder)
        limits = CompletionLimits(
            prompt_tokens=min(
                settings.prompt_tokens,
                context_length - settings.max_tokens,
                form.family.prompt_tokens or settings.prompt_tokens,
            ),
            context_tokens=settings.context_tokens,
            line_tokens=min(CompletionLimits().line_tokens, settings.max_tokens),
            block_tokens=settings.max_tokens,
            max_lines=settings.max_lines,
            in_comments=settings.in_comments,
        )
        return CompletionPrompter(form.tokenizer, form.family, limits, eos_token_ids=form.eos_token_ids)
    except (TokenizerError, ValueError) as error:
        raise EngineError(f"{folder.path.name} cannot complete code: {error}.", "Choose another model.") from error


@lru_cache(maxsize=4)
def _format(folder: ModelFolder) -> ModelFormat:
    form = read_model_format(folder.path)
    if form.note:
        logger.warning("%s", form.note)
    return form
