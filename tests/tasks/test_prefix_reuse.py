"""What the order of the prompt saves: tokens an engine with a prefix cache has to compute while a person types."""

from __future__ import annotations

import json.decoder
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest

from cato_lsp.tasks.families import CATO, CODESTRAL, FimFamily
from cato_lsp.tasks.fim import FimPromptBuilder
from cato_lsp.tasks.tokenizer import Tokenizer

BUDGET = 512


class PrefixCache:
    """Counts the tokens of each prompt that follow what it shares with the prompt before."""

    def __init__(self) -> None:
        self._last: list[int] = []
        self.computed = 0

    def take(self, prompt: list[int]) -> None:
        pairs = zip(self._last, prompt, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        self.computed += len(prompt) - shared
        self._last = prompt


def sliding_windows(tokenizer: Tokenizer, family: FimFamily, text: str, offset: int) -> list[int]:
    """As many tokens as fit right before and right after the cursor, in the family's order."""
    before = tokenizer.encode(text[max(0, offset - BUDGET * 4) : offset])[-BUDGET * 3 // 4 :]
    after = tokenizer.encode(text[offset : offset + BUDGET * 2])[: BUDGET // 4]
    return in_textbook_order(tokenizer, family, before, after)


def gap_at_cursor(tokenizer: Tokenizer, family: FimFamily, text: str, offset: int) -> list[int]:
    """Our windows, but the gap right at the cursor."""
    prompt = FimPromptBuilder(tokenizer, family, BUDGET).build(text, offset)
    before = tokenizer.encode(prompt.before + prompt.line)
    return in_textbook_order(tokenizer, family, before, tokenizer.encode(prompt.after))


def in_textbook_order(tokenizer: Tokenizer, family: FimFamily, before: list[int], after: list[int]) -> list[int]:
    prefix, suffix, middle = map(tokenizer.token_id, (family.prefix, family.suffix, family.middle))
    assert prefix is not None
    assert suffix is not None
    if middle is None:
        return [suffix, *after, prefix, *before]
    return [prefix, *before, suffix, *after, middle]


@pytest.mark.parametrize(
    ("family", "other", "least_saving"),
    [(CATO, sliding_windows, 20), (CATO, gap_at_cursor, 10), (CODESTRAL, sliding_windows, 20)],
    ids=["psm, sliding windows", "psm, gap at cursor", "spm, sliding windows"],
)
def test_typing_costs_a_fraction_of_the_textbook_prompt(
    family_tokenizers: dict[str, Tokenizer],
    family: FimFamily,
    other: Callable[[Tokenizer, FimFamily, str, int], list[int]],
    least_saving: int,
) -> None:
    tokenizer = family_tokenizers[family.name]
    source = Path(json.decoder.__file__).read_text(encoding="utf-8")
    start = source.index("def JSONObject")
    length = 600
    head, typed, tail = source[:start], source[start : start + length], source[start + length :]
    builder = FimPromptBuilder(tokenizer, family, BUDGET)
    ours, theirs = PrefixCache(), PrefixCache()
    for offset in range(start + 1, start + length):
        text = head + typed[: offset - start] + tail
        ours.take(builder.build(text, offset).ids)
        theirs.take(other(tokenizer, family, text, offset))
    assert ours.computed * least_saving < theirs.computed, (ours.computed, theirs.computed)
