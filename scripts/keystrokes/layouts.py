"""Ways to lay out a fill-in-the-middle prompt, and what a prefix cache saves of each while a person types."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cato_lsp.tasks.fim import FimPromptBuilder
from cato_lsp.tasks.fim_family import FimFamily, Order
from cato_lsp.tasks.tokenizer import Tokenizer

BLOCK = 32
"""Tokens that a prefix cache finds or misses together."""

Layout = Callable[[str, int], Sequence[int]]
"""Makes the prompt for a text and an offset."""


def layouts(tokenizer: Tokenizer, family: FimFamily, budget: int) -> dict[str, Layout]:
    """Ours, ours with the gap at the cursor, and the textbook's."""
    builder = FimPromptBuilder(tokenizer, family, budget)

    def gap_at_cursor(text: str, offset: int) -> Sequence[int]:
        prompt = builder.build(text, offset)
        before = tokenizer.encode(prompt.before + prompt.line)
        return _in_order(tokenizer, family, before, tokenizer.encode(prompt.after))

    return {
        "steady windows, line at the end (ours)": lambda text, offset: builder.build(text, offset).ids,
        "steady windows, gap at the cursor": gap_at_cursor,
        "sliding windows, gap at the cursor": lambda t, o: sliding_windows(tokenizer, family, t, o, budget),
    }


def sliding_windows(tokenizer: Tokenizer, family: FimFamily, text: str, offset: int, budget: int) -> list[int]:
    """As many tokens as fit right before (three quarters) and right after the cursor, in the family's order."""
    room = budget - 3
    before = tokenizer.encode(text[max(0, offset - room * 5) : offset])[-(room * 3 // 4) :]
    after = tokenizer.encode(text[offset : offset + room * 2])[: room // 4]
    return _in_order(tokenizer, family, before, after)


def _in_order(tokenizer: Tokenizer, family: FimFamily, before: list[int], after: list[int]) -> list[int]:
    prefix, suffix, middle = map(tokenizer.token_id, (family.prefix, family.suffix, family.middle))
    assert prefix is not None
    assert suffix is not None
    if family.order is Order.SPM or middle is None:
        return [suffix, *after, prefix, *before]
    return [prefix, *before, suffix, *after, middle]


class PrefixCache:
    """Counts what an engine that never forgets a block has to compute of each prompt."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self.tokens = 0
        self.computed = 0

    def take(self, prompt: Sequence[int]) -> None:
        """Compute a prompt. The last token is always computed, as engines do."""
        key, cached = 0, 0
        for end in range(BLOCK, len(prompt) + 1, BLOCK):
            key = hash((key, tuple(prompt[end - BLOCK : end])))
            if key in self._known and cached == end - BLOCK:
                cached = end
            self._known.add(key)
        self.tokens += len(prompt)
        self.computed += len(prompt) - min(cached, (len(prompt) - 1) // BLOCK * BLOCK)
