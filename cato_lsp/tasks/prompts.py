"""What models are asked for code actions: one place for the words, per family of models.

- The bundled family ``cato`` was trained on ``<|summarize|>…<|answer|>`` and its likes.
- A model with a chat template is asked as the template has it.
- Any other model is given plain instructions and a heading to continue.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from cato_lsp.tasks.chat_template import ChatTemplate
from cato_lsp.tasks.families import CONTROL_TOKENS
from cato_lsp.tasks.tokenizer import Tokenizer

LANGUAGE_NAMES = {
    "python": "Python",
    "javascript": "JavaScript",
    "typescript": "TypeScript",
    "java": "Java",
    "go": "Go",
    "rust": "Rust",
    "c": "C",
    "cpp": "C++",
    "csharp": "C#",
    "kotlin": "Kotlin",
    "swift": "Swift",
    "ruby": "Ruby",
    "php": "PHP",
    "lua": "Lua",
}

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_THOUGHT = re.compile(r"\A\s*<think>.*?(?:</think>|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What goes to the model, and what may come back."""

    ids: tuple[int, ...]
    stop_token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """What is wanted, in words for any model, and in the tokens that the family ``cato`` was trained on."""

    system: str
    request: str
    """What to do."""
    source: str
    """The code, or other text of a person, that it is about."""
    cato: tuple[str, str] | None = None
    """Control token, and the text after it; ``None``: the family was not trained for this."""


def summarize(source: str, language: str) -> Ask:
    """Say in a sentence what a function or type does."""
    what = language_name(language)
    return Ask(
        "You write documentation for code. Answer with the documentation text only: plain sentences, no code, no "
        "Markdown.",
        f"Write one or two sentences that say what this {what} code does, as its documentation.",
        source,
        ("<|summarize|>", source),
    )


def explain(source: str, language: str) -> Ask:
    """Explain a piece of code to a reader."""
    return Ask(
        "You explain code to the engineers who maintain it. Be exact and brief.",
        f"Explain what this {language_name(language)} code does and how, in a few sentences.",
        source,
        ("<|summarize|>", source),
    )


def combine(parts: str, language: str) -> Ask:
    """Sum up summaries of a file's or type's parts."""
    return Ask(
        "You explain code to the engineers who maintain it. Be exact and brief.",
        f"These are the parts of a piece of {language_name(language)} code, each with what it does. Say in "
        "two or three sentences what the whole is for.",
        parts,
        ("<|summarize|>", parts),
    )


def generate(head: str, language: str, context: str = "") -> Ask:
    """Write the body of a function from its signature and documentation, or code from a comment.

    :param head: signature and docstring, or the comment.
    :param context: code of the same file that may be of use.
    """
    before = f"This is part of the same file:\n\n{context}\n\nNow write the code. " if context else ""
    return Ask(
        "You write code. Answer with code only, without explanation and without Markdown.",
        f"{before}Write only the {language_name(language)} code that comes after the following lines: the body.",
        head,
        ("<|generate|>", head),
    )


def translate(source: str, language: str, target: str) -> Ask:
    """Translate code to another language."""
    trained = (language, target) == ("python", "javascript")
    return Ask(
        "You translate code between programming languages. Answer with code only, without explanation and without "
        "Markdown. Keep names, order and comments.",
        f"Translate this {language_name(language)} code to {language_name(target)}.",
        source,
        ("<|translate|>", f"{target}\n{source}") if trained else None,
    )


def repair(translation: str, target: str, errors: str) -> Ask:
    """Mend the syntax of a translation; the family ``cato`` was not trained for it."""
    return Ask(
        "You repair code. Answer with the whole corrected code only, without explanation and without Markdown.",
        f"This {language_name(target)} code has syntax errors ({errors}). Write it without them.",
        translation,
    )


def language_name(language: str) -> str:
    """The name of a language as people write it."""
    return LANGUAGE_NAMES.get(language, language)


class Prompter(Protocol):
    """Builds the prompts of one model."""

    @property
    def context_tokens(self) -> int:
        """Tokens that a prompt and its answer may have together."""
        ...

    @property
    def one_function_only(self) -> bool:
        """The model knows short functions, and nothing longer or else."""
        ...

    def prompt(self, ask: Ask) -> Prompt | None:
        """The prompt, ``None`` if the model cannot be asked this."""
        ...

    def count(self, text: str) -> int:
        """Tokens of a text."""
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
    """Any other model: instructions, and a heading for it to continue."""

    def prompt(self, ask: Ask) -> Prompt | None:
        text = f"# {ask.system}\n\n## Task\n\n{ask.request}\n\n```\n{ask.source}\n```\n\n## Answer\n\n"
        return Prompt(tuple(self._tokenizer.encode(text, continues=False)), self._eos)


def without_markers(answer: str) -> str:
    """The answer up to the first control token of any family that is spelled out in it."""
    cuts = [at for token in CONTROL_TOKENS if len(token) > 4 and (at := answer.find(token)) >= 0]
    return answer[: min(cuts)] if cuts else answer


def code_of(answer: str) -> str:
    """The code of an answer: what its fences hold if there are any; no thoughts, no control tokens."""
    answer = without_markers(_THOUGHT.sub("", answer.replace("\r\n", "\n")))
    fenced = _FENCE.search(answer)
    return (fenced.group(2) if fenced else answer).strip("\n").rstrip()


def prose_of(answer: str) -> str:
    """The prose of an answer, without fences, comment marks and quotes around it."""
    text = without_markers(_THOUGHT.sub("", answer.replace("\r\n", "\n")))
    text = _FENCE.sub(lambda match: match.group(2), text).strip()
    return re.sub(r"^(?:\"\"\"|'''|/\*\*?|///?|#)\s?|\s*(?:\"\"\"|'''|\*/)$", "", text).strip()
