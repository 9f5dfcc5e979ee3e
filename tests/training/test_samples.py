from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from training.corpus import SourceFile
from training.samples import CodeSamples, Encoder
from training.text import block_end, pick_hole
from training.tokenizer import train_tokenizer
from training.trainer import Stage, packed_batch

FOLDER = Path(__file__).parents[2] / "scripts" / "training"
FILES = [
    SourceFile("training", f"training/{path.name}", path.read_text(encoding="utf-8"))
    for path in (FOLDER / "javascript.py", FOLDER / "corpus.py", FOLDER / "model.py")
]
ENCODE = Encoder(train_tokenizer([file.text for file in FILES], 700))
TOKENIZER = ENCODE._tokenizer
SEEDS = st.integers(0, 10**9)


def fim_sample(seed: int) -> str:
    """The text of one fill-in-the-middle sample."""
    source = CodeSamples(FILES, ENCODE, fim_share=1.0)
    rng = Random(seed)
    while True:
        text = TOKENIZER.decode(source.sample(rng, 300), skip_special_tokens=False)
        if "<|fim_middle|>" in text:
            return text


def parts(sample: str) -> tuple[str, str, str]:
    """What stands before, in and after the hole, in either order of the prompt."""
    context, middle = sample.split("<|fim_middle|>")
    context = context[min(context.find("<|fim_prefix|>"), context.find("<|fim_suffix|>")) :]
    if context.startswith("<|fim_prefix|>"):
        before, after = context.removeprefix("<|fim_prefix|>").split("<|fim_suffix|>")
    else:
        after, before = context.removeprefix("<|fim_suffix|>").split("<|fim_prefix|>")
    return before, middle.removesuffix("<|endoftext|>"), after


@given(SEEDS)
def test_before_middle_and_after_are_one_piece_of_a_file(seed: int) -> None:
    whole = "".join(parts(fim_sample(seed)))
    # A suffix that was cut within a character of several bytes ends in a replacement character.
    assert any(whole.rstrip("�") in file.text for file in FILES)


@given(SEEDS)
def test_a_filled_hole_ends_with_the_end_token(seed: int) -> None:
    assert fim_sample(seed).endswith("<|endoftext|>")


@given(SEEDS, st.integers(40, 400))
def test_no_sample_is_longer_than_its_budget(seed: int, budget: int) -> None:
    assert 0 < len(CodeSamples(FILES, ENCODE).sample(Random(seed), budget)) <= budget


@given(SEEDS)
def test_what_is_typed_in_a_hole_lies_inside_it(seed: int) -> None:
    text = FILES[0].text
    hole = pick_hole(text, Random(seed))
    assert 0 <= hole.typed <= hole.end - hole.start
    assert hole.end <= len(text)


def test_a_block_ends_where_the_indentation_falls() -> None:
    text = "def f():\n    a = 1\n\n    if a:\n        b = 2\n    return a\n\n\nx = 1\n"
    start = text.index("    a = 1")
    assert text[start : block_end(text, start, 12)] == text[start : text.index("\n\n\nx")]


def test_a_block_is_cut_at_the_line_limit() -> None:
    assert block_end("a\nb\nc\n", 0, 2) == 3


def test_the_same_seed_and_step_give_the_same_batch() -> None:
    source = CodeSamples(FILES, ENCODE)
    stage = Stage(0.0, 128, 4)
    first, again = packed_batch(source, 7, 3, stage), packed_batch(source, 7, 3, stage)
    assert first.shape == (4, 129)
    assert first.equal(again)
    assert not first.equal(packed_batch(source, 7, 4, stage))


def test_a_special_token_named_in_a_file_stays_text() -> None:
    ids = ENCODE('x = "<|endoftext|>"')
    assert ENCODE.end not in ids
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == 'x = "<|endoftext|>"'


@given(SEEDS)
def test_cutting_words_changes_the_tokens_and_not_the_text(seed: int) -> None:
    text = FILES[1].text[:2000]
    ids = ENCODE.with_cut_words(text, Random(seed))
    assert TOKENIZER.decode(ids) == text
    assert len(ids) > len(ENCODE(text))
