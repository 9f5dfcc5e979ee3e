from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from training.tokenizer import SPECIAL_TOKENS, save_tokenizer, train_tokenizer

SOURCE = (Path(__file__).parents[2] / "scripts" / "training" / "corpus.py").read_text(encoding="utf-8")
TOKENIZER = train_tokenizer([SOURCE] * 20, 600)


@given(st.text())
def test_any_text_comes_back_unchanged(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids, skip_special_tokens=False) == text


def test_a_line_end_and_the_indentation_after_it_are_one_token() -> None:
    assert TOKENIZER.encode("\n        return").tokens[0] == "ĊĠĠĠĠĠĠĠĠ"


def test_digits_are_never_merged() -> None:
    assert TOKENIZER.encode("2026").tokens == list("2026")


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_each_special_token_is_one_token(token: str) -> None:
    assert TOKENIZER.encode(token).tokens == [token]


def test_transformers_reads_the_saved_tokenizer_as_we_do(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    save_tokenizer(TOKENIZER, tmp_path, 4096)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "<|fim_prefix|>def f(x):\n    return x + 10\n<|fim_suffix|>"
    assert loaded(text).input_ids == TOKENIZER.encode(text).ids
    assert loaded.eos_token_id == Tokenizer.from_file(str(tmp_path / "tokenizer.json")).token_to_id("<|endoftext|>")
