"""Prompts for clients that send text: fill-in-the-middle and chat in the model's own format."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cato_lsp.engine.api import CallRejectedError, ForcedPrefix
from cato_lsp.gateway.openai_errors import RequestError
from cato_lsp.gateway.openai_requests import ChatRequest, CompletionRequest
from cato_lsp.tasks.chat_template import ChatTemplate, ChatTemplateError, read_chat_template
from cato_lsp.tasks.context import FileContext
from cato_lsp.tasks.families import PLAIN
from cato_lsp.tasks.fim import BLANKS, NO_CONTEXT, FimPromptBuilder
from cato_lsp.tasks.healing import Healer
from cato_lsp.tasks.model_format import ModelFormat, read_model_format
from cato_lsp.tasks.tokenizer import TokenizerError

ANSWER_TOKENS = 256
"""Maximum tokens of a completion without ``max_tokens``."""


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """A prompt made from a client's text."""

    ids: tuple[int, ...]
    stop: tuple[int, ...]
    forced_prefix: ForcedPrefix | None = None
    typed_blanks: str = ""
    """Blanks at the end of the client's prompt that are not part of ``ids``; an answer may begin with them."""


class TextPrompts:
    """Builds prompts for one model. The first call loads its tokenizer, so use it in a worker thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _format(self) -> ModelFormat:
        return read_model_format(self._folder)

    @cached_property
    def _template(self) -> ChatTemplate | None:
        return read_chat_template(self._folder, self._format.tokenizer)

    @cached_property
    def _healer(self) -> Healer:
        return Healer(self._format.tokenizer)

    def completion(self, request: CompletionRequest, room: int) -> TextPrompt:
        """Build a completion's prompt.

        :param room: maximum number of tokens. With a suffix, text far from the cursor is left out.

        Raises:
            CallRejectedError: the model cannot do this.
        """
        form = self._format
        prompt = request.prompt
        if isinstance(prompt, list):
            numbers = [each for each in prompt if isinstance(each, int)]
            if len(numbers) == len(prompt):
                return TextPrompt(tuple(numbers), form.eos_token_ids)
            if len(prompt) > 1:
                raise RequestError("A list with several prompts.", "Send one request for each.", param="prompt")
        text = prompt if isinstance(prompt, str) else str(prompt[0])
        if request.suffix is not None:
            return self.infill(text, request.suffix, room)
        try:
            ids = [*form.tokenizer.begin_ids, *form.tokenizer.encode(text, continues=False)]
        except TokenizerError as error:
            raise RequestError(f"The prompt cannot be written: {error}.", param="prompt") from error
        return TextPrompt(tuple(ids) or self._empty(), form.eos_token_ids)

    def infill(self, before: str, after: str, room: int, context: FileContext = NO_CONTEXT) -> TextPrompt:
        """Build a prompt for the text between two others.

        :param room: maximum number of tokens. Text far from the cursor is left out.
        :param context: code of other files, for models that can use it.

        Raises:
            CallRejectedError: the model cannot do this.
        """
        form, family = self._format, self._format.family
        if family is PLAIN:
            raise RequestError(
                "This model cannot fill in the middle.", "Send no text after the cursor.", param="suffix"
            )
        try:
            builder = FimPromptBuilder(
                form.tokenizer,
                family,
                min(room, family.prompt_tokens or room),
                None if context.chunks else 0,
                healer=self._healer if family.heals else None,
            )
            built = builder.build(before + after, len(before), path=_PATH if context.chunks else "", context=context)
        except (TokenizerError, ValueError) as error:
            raise CallRejectedError(f"The prompt cannot be written: {error}.") from error
        cut = built.cut
        prefix = ForcedPrefix(cut.spellings, len(cut.text), tuple(cut.ids)) if cut else None
        stop = {number for token in family.stop if (number := form.tokenizer.token_id(token)) is not None}
        line = before[before.rfind("\n") + 1 :]
        blanks = line[len(line.rstrip(BLANKS)) :]
        return TextPrompt(tuple(built.ids), tuple(sorted(stop | set(form.eos_token_ids))), prefix, blanks)

    def chat(self, request: ChatRequest) -> TextPrompt:
        """Build a conversation's prompt.

        Raises:
            CallRejectedError: the model has no chat template, or it refuses the messages.
        """
        form = self._format
        try:
            if self._template is None:
                text = "\n\n".join(f"# {each.role}\n\n{each.text}" for each in request.messages)
                ids = form.tokenizer.encode(f"{text}\n\n# assistant\n\n", continues=False)
            else:
                ids = self._template.encode([(each.role, each.text) for each in request.messages])
        except (ChatTemplateError, TokenizerError) as error:
            raise RequestError(f"The conversation cannot be written: {error}.", param="messages") from error
        return TextPrompt(tuple(ids), form.eos_token_ids)

    def _empty(self) -> tuple[int, ...]:
        """The prompt for an empty text. A model needs at least one token."""
        return tuple(self._format.tokenizer.encode("\n"))


_PATH = "untitled"
"""Name of the client's file where other files are named: the APIs have no field for it."""
