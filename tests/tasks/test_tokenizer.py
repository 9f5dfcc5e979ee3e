"""Texts as token ids, for vocabularies that add control tokens by themselves."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers, processors

from cato_lsp.tasks.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def adds_a_beginning() -> Tokenizer:
    """Each character is a token, and each text gets `<s>` before it, as in Llama's files."""
    alphabet = {piece: number for number, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    fast = FastTokenizer(models.BPE(vocab=alphabet, merges=[]))
    fast.add_special_tokens(["<s>"])
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", len(alphabet))])
    return Tokenizer(fast.to_str())


@pytest.mark.parametrize("length", [1, 1000, 1001, 5000])
def test_texts_of_all_lengths_have_no_control_tokens(adds_a_beginning: Tokenizer, length: int) -> None:
    assert len(adds_a_beginning.encode("x" * length)) == length
    assert adds_a_beginning.decode(adds_a_beginning.encode("x" * length)) == "x" * length


@pytest.mark.parametrize("length", [1, 1000, 1001])
def test_each_character_begins_a_token_in_texts_of_all_lengths(adds_a_beginning: Tokenizer, length: int) -> None:
    assert adds_a_beginning.token_starts("x" * length) == list(range(length))


@pytest.fixture(scope="module")
def adds_a_blank() -> Tokenizer:
    """Each character is a token, and a text begins with a blank, as in SentencePiece's vocabularies."""
    vocabulary = {piece: number for number, piece in enumerate("▁\nabc")}
    fast = FastTokenizer(models.BPE(vocab=vocabulary, merges=[]))
    fast.add_special_tokens(["<s>"])
    fast.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    fast.decoder = decoders.Metaspace(prepend_scheme="always", split=False)
    return Tokenizer(fast.to_str())


@pytest.mark.parametrize(
    ("template", "begins", "tokens"),
    [
        ("ab", True, ["▁", "a", "b"]),
        ("ab", False, ["a", "b"]),
        ("<s>ab", True, ["<s>", "a", "b"]),
        ("<s>ab", False, ["<s>", "a", "b"]),
        ("ab<s>c", True, ["▁", "a", "b", "<s>", "c"]),
    ],
)
def test_only_what_begins_a_prompt_gets_the_blank_of_the_vocabulary(
    adds_a_blank: Tokenizer, template: str, begins: bool, tokens: list[str]
) -> None:
    assert adds_a_blank.encode_template(template, begins=begins) == [adds_a_blank.token_id(each) for each in tokens]
