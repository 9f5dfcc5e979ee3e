"""What a family of code models needs to know of its fill-in-the-middle (FIM) format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_RARE_CHARACTERS = frozenset("|｜▁")


class Order(StrEnum):
    """In which order a family's prompt holds the text before (prefix) and after (suffix) the gap."""

    PSM = "prefix-suffix-middle"
    SPM = "suffix-prefix-middle"
    PLAIN = "prefix only"
    """No control tokens: the model simply continues the text before the cursor."""


@dataclass(frozen=True, slots=True)
class FimFamily:
    """The FIM format of one family of models. Tokens are spelled as in the vocabulary.

    A prompt is ``begin``, other files, the document's name, the FIM part in the family's order, ``end``.
    """

    name: str
    order: Order
    prefix: str = ""
    suffix: str = ""
    middle: str = ""
    """Empty for a family whose answer simply follows the prefix (Codestral)."""
    bos: str = ""
    """Token every sequence begins with; empty when the family was trained without one."""
    tokenizer_begins: bool = False
    """Sequences begin with what the tokenizer's own post-processor puts there, instead of ``bos``."""
    begin: str = ""
    """Text and control tokens before everything else: the head of a chat turn."""
    end: str = ""
    """Text and control tokens after the FIM part: the end of the chat turn and the head of the answer."""
    stop: tuple[str, ...] = ()
    """Tokens that end an answer, besides the control tokens themselves and the model's own
    ``eos_token_id``.
    """
    file_separator: str = ""
    """Begins another file, followed by its path and a line feed: a control token, or plain text."""
    file_end: str = "\n"
    """What follows another file."""
    own_separator: str = ""
    """Begins the document's own path where that differs from ``file_separator``."""
    own_end: str = "\n"
    """What follows the document's own path; ``{language}`` is its language."""
    names_file: bool = False
    """The prompt of a single file names it."""
    prompt_tokens: int = 0
    """Tokens of a prompt above which the family's models do no better, as measured; 0: unknown."""
    heals: bool = False
    """A word that the cursor cuts is written again by the model (:mod:`cato_lsp.tasks.healing`)."""
    repository: str = ""
    """Token that begins a repository of several files, followed by its name."""
    repository_end: str = "\n"
    """What follows the name."""
    path_in_prefix: bool = False
    """With other files before it, the path of the file stands behind the prefix token."""
    files_in_prefix: bool = False
    """Other files stand behind the prefix token, too."""
    learned_files: bool = False
    """Trained on several files in a row, so that it makes use of others."""
    model_types: frozenset[str] = frozenset()
    """``model_type`` values of ``config.json`` the family is published under."""
    names: tuple[str, ...] = ()
    """Regular expressions for lower-case names of models and folders that mean this family."""
    telling: tuple[str, ...] = ()
    """Tokens that families with the same FIM spelling lack."""
    reserved_by: tuple[str, ...] = ()
    """Tokens of vocabularies that hold the FIM tokens whether their models were trained on them or not.

    A model with one of these belongs to the family by its name only.
    """
    by_name: bool = False
    """A variant of another family's format: only the name tells."""

    @property
    def required(self) -> tuple[str, ...]:
        """The tokens a vocabulary must hold for this format to be usable."""
        return tuple(token for token in (self.prefix, self.suffix, self.middle) if token)

    @property
    def control(self) -> tuple[str, ...]:
        """Every token that must never arise from a person's text and never be shown."""
        separator = self.file_separator if self.file_separator.startswith("<") else ""
        tokens = (*self.required, *self.stop, separator, self.bos)
        return tuple(dict.fromkeys(token for token in tokens if token))

    @property
    def markers(self) -> tuple[str, ...]:
        """The control tokens whose spelling no program would hold: an answer that shows one ends there.

        ``</s>``, say, is left out: it is HTML too.
        """
        return tuple(token for token in self.control if "fim" in token or not _RARE_CHARACTERS.isdisjoint(token))
