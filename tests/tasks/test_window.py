"""Windows around a cursor, with a tokenizer in which each character is a token, so that offsets are exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers

from cato_lsp.tasks.tokenizer import Tokenizer
from cato_lsp.tasks.window import end_after, plain, start_before


@pytest.fixture(scope="module")
def characters() -> Tokenizer:
    alphabet = {piece: number for number, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    fast = FastTokenizer(models.BPE(vocab=alphabet, merges=[]))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    return Tokenizer(fast.to_str())


LINES = "".join(f"{number:03}\n" for number in range(100))
"""100 lines of four characters."""


@pytest.mark.parametrize(
    ("text", "start", "budget", "end"),
    [
        ("ab\ncd\nefgh", 0, 7, 6),  # ends after the last whole line
        ("ab\ncd\nefgh", 0, 6, 6),  # a line that fits exactly is kept
        ("ab\ncd\nefgh", 0, 5, 3),
        ("ab\ncd\nefgh", 0, 10, 10),  # everything fits
        ("ab\ncd\nefgh", 3, 3, 6),
        ("ab\ncd\nefgh", 1, 1, 2),  # no line end within the budget: ends within the line
        ("abcdefgh", 0, 4, 4),
        ("abcdefgh", 0, 0, 0),
        ("abcdefgh", 2, -1, 2),
        ("abcdefgh", 8, 4, 8),
        ("ab\r\ncd\r\nefgh", 0, 6, 8),  # a carriage return and line feed are one token
        ("ab\r\ncd\r\nefgh", 0, 5, 4),
    ],
)
def test_the_window_after_the_cursor_ends_with_the_last_line_that_fits(
    characters: Tokenizer, text: str, start: int, budget: int, end: int
) -> None:
    assert end_after(characters, text, start, budget) == end


@given(
    pieces=st.lists(st.sampled_from(["a", "b", "\n", "\r\n"]), min_size=1, max_size=14),
    first=st.integers(0, 13),
    budget=st.integers(1, 12),
)
def test_no_window_after_the_cursor_could_hold_another_line(
    characters: Tokenizer, pieces: list[str], first: int, budget: int
) -> None:
    text, start = "".join(pieces), len("".join(pieces[:first]))
    fitting = [
        end
        for end in range(start + 1, len(text) + 1)
        if (text[end - 1] == "\n" or end == len(text)) and len(plain(text[start:end])) <= budget
    ]
    end = end_after(characters, text, start, budget)
    assert len(plain(text[start:end])) <= budget
    assert not fitting or end == fitting[-1]


@pytest.mark.parametrize(("line_start", "start"), [(361, 361), (369, 369), (370, 360)])
def test_a_line_that_starts_within_a_quarter_of_the_budget_begins_the_window(
    characters: Tokenizer, line_start: int, start: int
) -> None:
    text = f"{'x' * (line_start - 1)}\n{'x' * (400 - line_start)}"
    assert start_before(characters, text, 400, 40) == start


@pytest.mark.parametrize(
    ("end", "budget", "start"),
    [
        (400, 400, 0),  # the whole text fits
        (400, 399, 100),  # one token less: the window starts at the next quarter of its budget
        (400, 40, 360),
        (398, 40, 360),
        (0, 40, 0),
        (10, 0, 10),
        (-1, 40, 0),
    ],
)
def test_the_window_before_the_cursor_starts_on_its_grid(
    characters: Tokenizer, end: int, budget: int, start: int
) -> None:
    assert start_before(characters, LINES, end, budget) == start


def test_the_window_before_the_cursor_uses_at_least_three_quarters_of_its_budget(characters: Tokenizer) -> None:
    for end in range(100, 400):
        start = start_before(characters, LINES, end, 80)
        assert 60 - len("000\n") <= end - start <= 80


def test_the_window_before_the_cursor_starts_at_a_line_where_there_is_one(characters: Tokenizer) -> None:
    starts = {start_before(characters, LINES, end, 50) for end in range(60, 400)}
    assert all(LINES[start - 1] == "\n" for start in starts)
    one_line = "x" * 400
    assert start_before(characters, one_line, 400, 40) == 360
