"""Which tokens followed a context, and how their counts are mixed into a distribution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.workspace.cache_model import CacheModel
from cato_lsp.workspace.ngrams import LONGEST, SHORTEST, Follower, NgramIndex, TokenText

texts = st.lists(st.integers(0, 3), max_size=40)


def followers_by_hand(tokens: Sequence[int], context: Sequence[int]) -> Counter[Follower]:
    found: Counter[Follower] = Counter()
    for position in range(len(tokens)):
        length = 0
        while length < min(position, len(context), LONGEST) and tokens[position - length - 1] == context[-length - 1]:
            length += 1
        if length >= SHORTEST:
            found[tokens[position], length] += 1
    return found


@given(files=st.lists(texts, max_size=4), context=st.lists(st.integers(0, 3), max_size=20))
def test_an_index_finds_what_follows_a_context_in_each_file(files: list[list[int]], context: list[int]) -> None:
    index = NgramIndex({str(number): file for number, file in enumerate(files)})
    by_hand = sum((followers_by_hand(file, context) for file in files), Counter[Follower]())
    found = Counter(index.followers(context))
    # Of more than 32 it may give the 32 longest.
    assert found == by_hand if by_hand.total() <= 32 else found.total() == 32 and found <= by_hand


@given(tokens=texts, context=st.lists(st.integers(0, 3), max_size=20))
def test_a_text_is_searched_without_an_index(tokens: list[int], context: list[int]) -> None:
    by_hand = followers_by_hand(tokens, context)
    found = Counter(TokenText(tokens).followers(context))
    assert found == by_hand if by_hand.total() <= 32 else found.total() == 32 and found <= by_hand


def test_a_file_that_is_out_of_date_is_passed_over() -> None:
    index = NgramIndex({"a": [1, 2, 3, 4, 5, 6], "b": [1, 2, 3, 4, 5, 7]})
    assert index.followers([1, 2, 3, 4, 5], np.array(index.ranges["a"])) == [(7, 5)]


def test_a_frequent_context_is_looked_up_in_bounded_time() -> None:
    index = NgramIndex({"a": [1] * 100_000})
    assert 0 < len(index.followers([1] * 8)) <= 64


def test_large_vocabularies_are_indexed_too() -> None:
    index = NgramIndex({"a": [1, 2, 3, 4, 70_000, 150_000], "b": [1, 2, 3, 4, 70_000 - 65_536, 5]})
    assert index.followers([1, 2, 3, 4, 70_000]) == [(150_000, 5)]


def everything(tokens: list[int]) -> list[bool]:
    return [True] * len(tokens)


def test_counts_are_mixed_by_witten_bell_from_short_matches_to_long_ones() -> None:
    # After 3 4 5: 6 twice, 7 once; a match of four tokens: 6 only. Weight 3 each, T distinct followers, b = 2.
    document = [0, 3, 4, 5, 6, -1, 9, 3, 4, 5, 6, -1, 9, 3, 4, 5, 7]
    mixture = CacheModel([0, 3, 4, 5], document).mixture([], everything)
    assert mixture is not None
    factor, added = mixture
    # n = 3: C = 9, T = 2; n = 4: C = 3, T = 1.
    assert factor == pytest.approx(4 / 13 * 2 / 5)
    assert added == pytest.approx({6: 6 / 13 * 2 / 5 + 3 / 5, 7: 3 / 13 * 2 / 5})


@given(document=st.lists(st.integers(-1, 3), min_size=6, max_size=60), before=st.lists(st.integers(0, 3), max_size=20))
def test_a_mixture_is_a_distribution(document: list[int], before: list[int]) -> None:
    mixture = CacheModel(before, document).mixture([], everything)
    if mixture is not None:
        factor, added = mixture
        assert factor + sum(added.values()) == pytest.approx(1)
        assert factor > 0
        assert -1 not in added


def test_what_is_written_extends_the_context() -> None:
    model = CacheModel([1, 2], [1, 2, 3, 4])
    assert model.mixture([], everything) is None
    assert model.mixture([3], everything) is not None


def test_a_token_that_may_not_come_next_gets_nothing() -> None:
    assert CacheModel([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]).mixture([], lambda tokens: [False for _ in tokens]) is None
