"""How good an answer is."""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch import nn

_IDENTIFIER = re.compile(r"[A-Za-z]{4,}")


def edit_similarity(one: str, other: str) -> float:
    """Similarity from 0 to 1: twice the matched characters over all (Ratcliff and Obershelp)."""
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def parses(text: str) -> bool:
    """Whether ``text`` is a Python file without syntax errors."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def is_one_sentence(text: str) -> bool:
    """One line that begins with a capital and has its only full stop at its end."""
    return bool(re.fullmatch(r"[A-Z`\"'][^\n]*[.!]", text.strip())) and not re.search(r"[.!]\s+[A-Z]", text.strip())


def mentions_identifier(text: str, source: str) -> bool:
    """Whether a word of ``text``, of four letters or more, is part of an identifier of ``source``.

    Endings are cut to four letters of stem, so that "returns" meets ``return_value``.
    """
    stems = {word.lower()[:6] for word in _words(source)}
    return any(word.lower()[:6] in stems for word in _IDENTIFIER.findall(text))


def _words(source: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", source).replace("_", " ")
    return [w for w in _IDENTIFIER.findall(spaced) if w not in {"return", "self", "None", "False", "True", "else"}]


def bits_per_byte(
    model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str], *, window: int = 1024, stride: int = 512
) -> float:
    """Bits per UTF-8 byte over whole files: each token is scored once, late ones with ``window - stride`` before it.

    The first token of a file is scored without context but for the end-of-text token.
    """
    import torch  # only here: the engine sets the number of threads before torch is loaded
    from torch.nn.functional import cross_entropy

    end = tokenizer.token_to_id("<|endoftext|>")
    nats = 0.0
    for text in texts:
        ids = [end, *tokenizer.encode(text, add_special_tokens=False).ids]
        scored = 1
        for start in range(0, max(1, len(ids) - 1), stride):
            piece = torch.tensor([ids[start : start + window]])
            with torch.no_grad():
                logits = model(piece).logits[0, :-1].float()
            losses = cross_entropy(logits, piece[0, 1:], reduction="none")
            nats += losses[scored - start - 1 :].sum().item()
            scored = start + piece.shape[1]
            if scored >= len(ids):
                break
    return nats / math.log(2) / sum(len(text.encode()) for text in texts)
