"""What the order of the prompt saves: tokens an engine with a prefix cache has to compute while a person types."""

from __future__ import annotations

from pathlib import Path

import pytest
import record_typing
from hypothesis import given
from hypothesis import strategies as st
from keystrokes.layouts import BLOCK, PrefixCache, layouts
from keystrokes.recording import Kind, Recording

from cato_lsp.tasks.families import CATO, CODESTRAL
from cato_lsp.tasks.fim_family import FimFamily
from cato_lsp.tasks.tokenizer import Tokenizer
from tests.tasks.conftest import family_tokenizers

__all__ = ["family_tokenizers"]

BUDGET = 512
KEYS = 400


@pytest.mark.parametrize("path", sorted(record_typing.RECORDINGS.glob("*.gz")), ids=lambda path: path.name)
@pytest.mark.parametrize("family", [CATO, CODESTRAL], ids=["prefix first", "suffix first"])
def test_typing_costs_a_fraction_of_the_textbook_prompt(
    family_tokenizers: dict[str, Tokenizer], path: Path, family: FimFamily
) -> None:
    session = Recording.load(path)
    within = [(key, text) for key, text in session.states() if len(text) - key.cursor > 200 and key.kind != Kind.MOVE]
    assert len(within) > KEYS
    computed: list[int] = []
    for layout in layouts(family_tokenizers[family.name], family, BUDGET).values():
        cache = PrefixCache()
        for key, text in within[-KEYS:]:
            cache.take(layout(text, key.cursor))
        computed.append(cache.computed)
    ours, gap_at_cursor, textbook = computed
    assert ours * 4 <= textbook, computed
    assert ours * (2 if family is CATO else 1) <= gap_at_cursor, computed


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=100), max_size=8))
def test_a_prefix_cache_finds_the_longest_run_of_whole_blocks_seen_before(prompts: list[list[int]]) -> None:
    cache, seen, expected = PrefixCache(), [[-1]], 0
    for prompt in prompts:
        ends = range(0, len(prompt), BLOCK)
        known = [end for end in ends if any(prompt[:end] == other[:end] for other in seen)]
        expected += len(prompt) - max(known)
        cache.take(prompt)
        seen.append(prompt)
    assert cache.computed == expected
