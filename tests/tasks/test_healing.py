"""Token healing: a word that the cursor cuts is generated again."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cato_lsp.tasks.families import CATO, FAMILIES, QWEN_CODER
from cato_lsp.tasks.fim import FimPromptBuilder
from cato_lsp.tasks.healing import LONGEST, Healer
from cato_lsp.tasks.tokenizer import Tokenizer

lines = st.text("abdefinorst_.( 7é漢🙂=", max_size=24)


@settings(max_examples=200, deadline=None)
@given(line=lines, seed=st.integers(0, 9))
def test_every_spelling_begins_with_the_cut_word(cato_tokenizer: Tokenizer, line: str, seed: int) -> None:
    cut = Healer(cato_tokenizer).heal(line)
    if cut is None:
        return
    assert line.endswith(cut.text)
    choose, written, ids = Random(seed), 0, list[int]()
    while written < len(cut.spellings):
        token = choose.choice(sorted(cut.spellings[written]))
        ids.append(token)
        written = cut.spellings[written][token]
    assert cato_tokenizer.decode(ids).startswith(cut.text or " ")


@settings(max_examples=200, deadline=None)
@given(line=lines)
def test_a_cut_line_and_its_cut_word_are_the_tokens_of_the_whole_line(cato_tokenizer: Tokenizer, line: str) -> None:
    cut = Healer(cato_tokenizer).heal(line)
    if cut is not None:
        assert [*cato_tokenizer.encode(line.removesuffix(cut.text)), *cut.ids] == cato_tokenizer.encode(line)


def test_a_token_may_extend_beyond_the_cut_word(cato_tokenizer: Tokenizer) -> None:
    whole = cato_tokenizer.encode(" return")
    assert len(whole) == 1
    cut = Healer(cato_tokenizer).heal("    if x: retu")
    assert cut is not None
    assert cut.text == " retu"
    assert cut.spellings[0][whole[0]] == len(cut.text)


@pytest.mark.parametrize("line", ["", "    ", "\t", "x  ", "x\t", "é" * (LONGEST + 1), "a" * (LONGEST + 1), "🙂"])
def test_words_that_are_long_or_have_one_spelling_are_not_healed(cato_tokenizer: Tokenizer, line: str) -> None:
    assert Healer(cato_tokenizer).heal(line) is None


def test_after_a_blank_the_answer_must_begin_with_it(cato_tokenizer: Tokenizer) -> None:
    cut = Healer(cato_tokenizer).heal("value = ")
    assert cut is not None
    assert (cut.text, cut.ids) == ("", [])
    assert cato_tokenizer.encode(" return")[0] in cut.spellings[0]
    assert cato_tokenizer.encode("return")[0] not in cut.spellings[0]


def test_a_healed_prompt_ends_before_the_cut_word(cato_tokenizer: Tokenizer) -> None:
    builder = FimPromptBuilder(cato_tokenizer, CATO, 100)
    text = "import json\nvalue = json.lo"
    prompt, uncut = builder.build(text, len(text)), builder.build(text, len(text) - 2)
    assert prompt.cut is not None
    assert (prompt.line, prompt.cut.text) == ("value = json.lo", "lo")
    assert cato_tokenizer.decode(prompt.ids).endswith("value = json.")
    assert uncut.cut is not None
    assert uncut.cut.text == "."


def test_only_prompts_of_the_bundled_family_are_healed(family_tokenizers: dict[str, Tokenizer]) -> None:
    assert [family for family in FAMILIES if family.heals] == [CATO]
    prompt = FimPromptBuilder(family_tokenizers[QWEN_CODER.name], QWEN_CODER, 100).build("value = json.lo", 15)
    assert prompt.cut is None
