"""How each family of code models wants a fill-in-the-middle (FIM) prompt written.

A family is data: the control tokens, their order, whether the sequence begins with a BOS token, and what
ends an answer. Which family a model folder belongs to is decided by the control tokens its vocabulary
really holds, then by ``model_type`` and name, because several families share the same spelling.

Sources: Bavarian et al. 2022 (arXiv:2207.14255) for PSM and SPM; StarCoder2 (arXiv:2402.19173, section 5.2);
Code Llama (arXiv:2308.12950, section 2.3, and its reference ``infilling_prompt_tokens``); DeepSeek-Coder
README, "Code Insertion"; Qwen2.5-Coder technical report (arXiv:2409.12186, figures 2 and 4); CodeGemma
prompt structure (ai.google.dev); Mistral's ``mistral-common`` tokenizer v3 for Codestral; Granite 3.3
tokens as listed in ggml-org/llama.cpp#12988.
"""

from __future__ import annotations

from collections.abc import Collection
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
    """The FIM format of one family of models. Tokens are spelled as in the vocabulary."""

    name: str
    order: Order
    prefix: str = ""
    suffix: str = ""
    middle: str = ""
    """Empty for a family whose answer simply follows the prefix (Codestral)."""
    bos: str = ""
    """Token every sequence begins with; empty when the family was trained without one."""
    stop: tuple[str, ...] = ()
    """Tokens that end an answer, besides the control tokens themselves and the model's own
    ``eos_token_id``.
    """
    file_separator: str = ""
    """Token that begins a file, followed by the file's path and a line feed."""
    names_file: bool = False
    """The prompt of a single file begins with the separator and its path."""
    prompt_tokens: int = 0
    """Tokens of a prompt above which the family's models do no better, as measured; 0: unknown."""
    heals: bool = False
    """A word that the cursor cuts is written anew (:mod:`cato_lsp.tasks.healing`)."""
    repository: str = ""
    """Token that begins a repository of several files, followed by its name."""
    repository_end: str = "\n"
    """What follows the name."""
    path_in_prefix: bool = False
    """With other files before it, the path of the file stands behind the prefix token."""
    learned_files: bool = False
    """Trained on several files in a row, so that it makes use of others."""
    model_types: frozenset[str] = frozenset()
    """``model_type`` values of ``config.json`` the family is published under."""
    names: tuple[str, ...] = ()
    """Lower-case parts of folder names that mean this family."""
    telling: tuple[str, ...] = ()
    """Tokens that families with the same FIM spelling lack."""

    @property
    def required(self) -> tuple[str, ...]:
        """The tokens a vocabulary must hold for this format to be usable."""
        return tuple(token for token in (self.prefix, self.suffix, self.middle) if token)

    @property
    def control(self) -> tuple[str, ...]:
        """Every token that must never arise from a person's text and never be shown."""
        tokens = (*self.required, *self.stop, self.file_separator, self.bos)
        return tuple(dict.fromkeys(token for token in tokens if token))

    @property
    def markers(self) -> tuple[str, ...]:
        """The control tokens whose spelling no program would hold: an answer that shows one ends there.

        ``</s>``, say, is left out: it is HTML too.
        """
        return tuple(token for token in self.control if "fim" in token or not _RARE_CHARACTERS.isdisjoint(token))


_ENDOFTEXT = "<|endoftext|>"

CATO = FimFamily(
    name="cato",
    order=Order.PSM,
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    stop=(_ENDOFTEXT,),
    file_separator="<|file_sep|>",
    names_file=True,
    prompt_tokens=1000,
    heals=True,
    names=("cato",),
)
QWEN_CODER = FimFamily(
    name="qwen-coder",
    order=Order.PSM,
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    stop=(_ENDOFTEXT, "<|fim_pad|>", "<|repo_name|>", "<|im_start|>", "<|im_end|>"),
    file_separator="<|file_sep|>",
    repository="<|repo_name|>",
    learned_files=True,
    model_types=frozenset({"qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next"}),
    names=("qwen",),
    telling=("<|fim_pad|>", "<|repo_name|>"),
)
CODEGEMMA = FimFamily(
    name="codegemma",
    order=Order.PSM,
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    bos="<bos>",
    stop=("<eos>", "<|file_separator|>", "<end_of_turn>"),
    file_separator="<|file_separator|>",
    learned_files=True,
    model_types=frozenset({"gemma"}),
    names=("codegemma",),
    telling=("<|file_separator|>",),
)
STARCODER2 = FimFamily(
    name="starcoder2",
    order=Order.PSM,
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    stop=(_ENDOFTEXT, "<fim_pad>", "<repo_name>"),
    file_separator="<file_sep>",
    repository="<repo_name>",
    repository_end="",
    path_in_prefix=True,
    learned_files=True,
    model_types=frozenset({"starcoder2"}),
    names=("starcoder2", "codeqwen"),
    telling=("<file_sep>",),
)
STARCODER = FimFamily(
    name="starcoder",
    order=Order.PSM,
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    stop=(_ENDOFTEXT, "<fim_pad>", "<reponame>"),
    file_separator="<filename>",
    model_types=frozenset({"gpt_bigcode"}),
    names=("starcoder", "stable-code"),
    telling=("<gh_stars>",),
)
GRANITE = FimFamily(
    name="granite",
    order=Order.PSM,
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    stop=(_ENDOFTEXT, "<|end_of_text|>", "<fim_pad>", "<reponame>"),
    model_types=frozenset({"granite", "granitemoe", "granitemoehybrid"}),
    names=("granite",),
)
CODELLAMA = FimFamily(
    name="codellama",
    order=Order.PSM,
    prefix="▁<PRE>",
    suffix="▁<SUF>",
    middle="▁<MID>",
    bos="<s>",
    stop=("▁<EOT>", "</s>"),
    model_types=frozenset({"llama"}),
    names=("codellama", "code-llama"),
)
DEEPSEEK_CODER = FimFamily(
    name="deepseek-coder",
    order=Order.PSM,
    prefix="<｜fim▁begin｜>",
    suffix="<｜fim▁hole｜>",
    middle="<｜fim▁end｜>",
    bos="<｜begin▁of▁sentence｜>",
    stop=("<｜end▁of▁sentence｜>", "<|EOT|>"),
    names=("deepseek",),
)
CODESTRAL = FimFamily(
    name="codestral",
    order=Order.SPM,
    prefix="[PREFIX]",
    suffix="[SUFFIX]",
    bos="<s>",
    stop=("</s>", "[MIDDLE]"),
    model_types=frozenset({"mistral"}),
    names=("codestral",),
)
PLAIN = FimFamily(name="plain", order=Order.PLAIN)
"""The fall-back for a model without FIM tokens: continue the text before the cursor, blind to what follows
it.
"""

FAMILIES = (
    CATO,
    QWEN_CODER,
    CODEGEMMA,
    STARCODER2,
    STARCODER,
    GRANITE,
    CODELLAMA,
    DEEPSEEK_CODER,
    CODESTRAL,
)
CONTROL_TOKENS = frozenset(token for family in FAMILIES for token in family.control)
"""Every control token of every family, whatever the model at hand."""


class FimUnsupportedError(ValueError):
    """The vocabulary holds no family's FIM tokens; the message lists what was looked for."""


def detect_family(vocabulary: Collection[str], *, model_type: str = "", name: str = "") -> FimFamily:
    """The family whose FIM tokens the vocabulary holds.

    :param vocabulary: every token of the model, added tokens included.
    :param model_type: ``model_type`` of the model's ``config.json``.
    :param name: name of the model or of its folder.
    :raises FimUnsupportedError: if the vocabulary holds no known family's tokens.
    """
    usable = [family for family in FAMILIES if all(token in vocabulary for token in family.required)]
    if not usable:
        looked_for = "; ".join(f"{family.name}: {' '.join(family.required)}" for family in FAMILIES)
        described = f" (model_type {model_type!r})" if model_type else ""
        raise FimUnsupportedError(
            f"the model {name or 'given'}{described} has no fill-in-the-middle tokens; looked for {looked_for}"
        )
    return max(usable, key=lambda family: _likeness(family, vocabulary, model_type, name.lower()))


def _likeness(family: FimFamily, vocabulary: Collection[str], model_type: str, name: str) -> tuple[int, int, int]:
    """How well a usable family fits, compared in order: telling tokens, then ``model_type``, then name."""
    telling = 0
    if family.telling:
        telling = 1 if any(token in vocabulary for token in family.telling) else -1
    return telling, int(model_type in family.model_types), sum(part in name for part in family.names)
