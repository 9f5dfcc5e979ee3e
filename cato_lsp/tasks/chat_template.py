"""Renders a model's chat template so that user text cannot become a control token.

The template is rendered with placeholders for the contents, in jinja2's sandbox. Only the text between the placeholders
is encoded with control tokens. The contents are encoded as plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cato_lsp.tasks.tokenizer import Tokenizer

_STAND_IN = "\ue000{}\ue001"
_STAND_IN_PATTERN = re.compile("\ue000(\\d+)\ue001")


class ChatTemplateError(ValueError):
    """The template cannot be used. The message says why."""


class ChatTemplate:
    """One model's template.

    :param source: the jinja2 template (``chat_template`` of ``tokenizer_config.json``).
    :param tokens: ``bos_token``, ``eos_token``... as the template may name them.
    :param now: what `strftime_now` formats, as Hugging Face's templates call it. The same for every prompt, so that
        prompts have a common prefix; ``None``: the template has no such function.
    :raises ChatTemplateError: if it is no template.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        source: str,
        tokens: Mapping[str, str] | None = None,
        now: datetime | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._tokens = dict(tokens or {})
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        functions = cast("dict[str, Any]", environment.globals)
        functions["raise_exception"] = _raise
        if now is not None:
            functions["strftime_now"] = now.strftime
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise ChatTemplateError(f"not a template: {error}") from error

    def encode(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """The tokens of messages ``(role, content)``, up to the start of the answer.

        :raises ChatTemplateError: if the template refuses the messages, loses one or changes it.
        """
        try:
            return self._encode(messages)
        except TemplateError as error:
            if len(messages) > 1 and messages[0][0] == "system":  # some templates have no system role
                (_, system), (role, content), *rest = messages
                return self.encode([(role, f"{system}\n\n{content}"), *rest])
            raise ChatTemplateError(f"the template refuses: {error}") from error

    def _encode(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        stand_ins = [{"role": role, "content": _STAND_IN.format(n)} for n, (role, _) in enumerate(messages)]
        try:
            rendered = self._template.render(
                messages=stand_ins, add_generation_prompt=True, enable_thinking=False, **self._tokens
            )
        except TemplateError:
            raise
        except Exception as error:  # a template is a program: it may fail in any way
            raise TemplateError(f"{type(error).__name__}: {error}") from error
        pieces = _STAND_IN_PATTERN.split(rendered)
        if [int(each) for each in pieces[1::2]] != list(range(len(messages))):
            raise TemplateError("not every message is shown once, in order")
        ids: list[int] = []
        for number, piece in enumerate(pieces):
            if number % 2:
                ids += self._tokenizer.encode(messages[int(piece)][1].strip(), continues=bool(ids))
            else:
                ids += self._tokenizer.encode_template(piece, begins=not ids)
        return ids


def read_chat_template(folder: Path, tokenizer: Tokenizer, now: datetime | None = None) -> ChatTemplate | None:
    """The template of a model folder; ``None`` if it has none.

    :raises ChatTemplateError: if it cannot be used; it is rendered once as a check.
    """
    config = _read(folder / "tokenizer_config.json")
    source: object = config.get("chat_template")
    if isinstance(source, list):  # several, by name
        named = cast("list[dict[str, Any]]", source)
        source = next((each.get("template") for each in named if each.get("name") == "default"), None)
    if source is None and (folder / "chat_template.jinja").is_file():
        source = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    if not isinstance(source, str):
        return None
    tokens: dict[str, str] = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        value: object = config.get(name)
        spelled = cast("dict[str, Any]", value).get("content") if isinstance(value, dict) else value
        tokens[name] = spelled if isinstance(spelled, str) else ""
    template = ChatTemplate(tokenizer, source, tokens, now)
    template.encode([("system", "Be brief."), ("user", "Hello")])
    return template


def _read(path: Path) -> dict[str, Any]:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _raise(message: str) -> None:
    raise TemplateError(message)
