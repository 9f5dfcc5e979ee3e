"""The prompts of code actions, per family of models.

- The bundled family ``cato`` was trained on prompts such as ``<|summarize|>…<|answer|>``.
- A model with a chat template gets a chat prompt.
- Any other model gets plain instructions and a heading to continue.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from cato_lsp.tasks.chat_template import ChatTemplate
from cato_lsp.tasks.families import CONTROL_TOKENS
from cato_lsp.tasks.languages import language_of
from cato_lsp.tasks.tokenizer import Tokenizer

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_THOUGHT = re.compile(r"\A\s*<think>.*?(?:</think>|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as tokens, and the tokens that end its answer."""

    ids: tuple[int, ...]
    stop_token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """A question: in words for any model, and in the format of the family ``cato``."""

    system: str
    request: str
    """The instruction."""
    source: str
    """The user's code or text that the question is about."""
    cato: tuple[str, str] | None = None
    """Control token and the text after it; ``None`` if the family was not trained for this."""


def summarize(source: str, language: str) -> Ask:
    """Ask for one or two sentences about a function or type."""
    what = language_of(language).name
    return Ask(
        "You write documentation for code. Answer with the documentation text only: plain sentences, no code, no "
        "Markdown.",
        f"Write one or two sentences that say what this {what} code does, as its documentation.",
        source,
        ("<|summarize|>", source),
    )


def explain(source: str, language: str) -> Ask:
    """Ask for an explanation of a piece of code."""
    return Ask(
        "You explain code to the engineers who maintain it. Be exact and brief.",
        f"Explain what this {language_of(language).name} code does and how, in a few sentences.",
        source,
        ("<|summarize|>", source),
    )


def combine(parts: str, language: str) -> Ask:
    """Ask for one summary of the summaries of a file's or type's parts."""
    return Ask(
        "You explain code to the engineers who maintain it. Be exact and brief.",
        f"These are the parts of a piece of {language_of(language).name} code, each with what it does. Say in "
        "two or three sentences what the whole is for.",
        parts,
        ("<|summarize|>", parts),
    )


def generate(head: str, language: str, context: str = "") -> Ask:
    """Ask for the body of a function from its signature and documentation, or for code from a comment.

    :param head: signature and docstring, or the comment.
    :param context: code of the same file.
    """
    before = f"This is part of the same file:\n\n{context}\n\nNow write the code. " if context else ""
    return Ask(
        "You write code. Answer with code only, without explanation and without Markdown.",
        f"{before}Write only the {language_of(language).name} code that comes after the following lines: the body.",
        head,
        ("<|generate|>", head),
    )


def translate(source: str, language: str, target: str) -> Ask:
    """Ask for a translation of code to another language."""
    trained = (language, target) == ("python", "javascript")
    return Ask(
        "You translate code between programming languages. Answer with code only, without explanation and without "
        "Markdown. Keep names, order and comments.",
        f"Translate this {language_of(language).name} code to {language_of(target).name}.",
        source,
        ("<|translate|>", f"{target}\n{source}") if trained else None,
    )


def repair(translation: str, target: str, errors: str) -> Ask:
    """Ask for a repair of a translation's syntax errors; the family ``cato`` was not trained for it."""
    return Ask(
        "You repair code. Answer with the whole corrected code only, without explanation and without Markdown.",
        f"This {language_of(target).name} code has syntax errors ({errors}). Write it without them.",
        translation,
    )


class Prompter(Protocol):
    """Builds the prompts of one model."""

    @property
    def context_tokens(self) -> int:
        """Tokens that a prompt and its answer may have together."""
        ...

    @property
    def one_function_only(self) -> bool:
        """Whether the model was trained on single short functions only."""
        ...

    def prompt(self, ask: Ask) -> Prompt | None:
        """The prompt, ``None`` if the model was not trained for the question."""
        ...

    def count(self, text: str) -> int:
        """Number of tokens of a text."""
        ...


class _Base:
    one_function_only = False

    def __init__(self, tokenizer: Tokenizer, context_tokens: int, eos_token_ids: tuple[int, ...] = ()) -> None:
        self._tokenizer = tokenizer
        self.context_tokens = context_tokens
        self._eos = eos_token_ids

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text))


class CatoPrompter(_Base):
    """The bundled family's format."""

    one_function_only = True

    def __init__(self, tokenizer: Tokenizer, context_tokens: int, eos_token_ids: tuple[int, ...] = ()) -> None:
        super().__init__(tokenizer, context_tokens, eos_token_ids)
        self._stop = tuple(sorted(tokenizer.control_ids | set(eos_token_ids)))

    def prompt(self, ask: Ask) -> Prompt | None:
        if ask.cato is None:
            return None
        token, text = ask.cato
        begin, answer = self._tokenizer.token_id(token), self._tokenizer.token_id("<|answer|>")
        if begin is None or answer is None:
            return None
        return Prompt((begin, *self._tokenizer.encode(text), answer), self._stop)


class ChatPrompter(_Base):
    """A model with a chat template."""

    def __init__(
        self, tokenizer: Tokenizer, template: ChatTemplate, context_tokens: int, eos_token_ids: tuple[int, ...] = ()
    ) -> None:
        super().__init__(tokenizer, context_tokens, eos_token_ids)
        self._template = template

    def prompt(self, ask: Ask) -> Prompt | None:
        content = f"{ask.request}\n\n```\n{ask.source}\n```"
        return Prompt(tuple(self._template.encode([("system", ask.system), ("user", content)])), self._eos)


class PlainPrompter(_Base):
    """Any other model: instructions, and a heading to continue."""

    def prompt(self, ask: Ask) -> Prompt | None:
        text = f"# {ask.system}\n\n## Task\n\n{ask.request}\n\n```\n{ask.source}\n```\n\n## Answer\n\n"
        return Prompt(tuple(self._tokenizer.encode(text, continues=False)), self._eos)


def without_markers(answer: str) -> str:
    """The answer up to the first control token of any family that it spells out."""
    cuts = [at for token in CONTROL_TOKENS if len(token) > 4 and (at := answer.find(token)) >= 0]
    return answer[: min(cuts)] if cuts else answer


def code_of(answer: str) -> str:
    """The code of an answer: the content of its fences if it has any, without reasoning and control tokens."""
    answer = without_markers(_THOUGHT.sub("", answer.replace("\r\n", "\n")))
    fenced = _FENCE.search(answer)
    return (fenced.group(2) if fenced else answer).strip("\n").rstrip()


def prose_of(answer: str) -> str:
    """The prose of an answer, without fences, comment marks and quotes around it."""
    text = without_markers(_THOUGHT.sub("", answer.replace("\r\n", "\n")))
    text = _FENCE.sub(lambda match: match.group(2), text).strip()
    return re.sub(r"^(?:\"\"\"|'''|/\*\*?|///?|#)\s?|\s*(?:\"\"\"|'''|\*/)$", "", text).strip()
