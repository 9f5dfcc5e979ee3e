"""What the gateway knows of its replicas."""

from __future__ import annotations

from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.fleet.books import Capacity, ReplicaBook
from cato_lsp.fleet.prefixes import BLOCK, SentPrefixes, block_hashes
from tests.fleet.calls import COSTS, book, completion, prefill, summary

prompts = st.lists(st.lists(st.integers(1, 2), max_size=6), max_size=8)
"""Prompts of whole blocks of a token each: few tokens, so that many share their beginning."""


def hashes(prompt: list[int]) -> tuple[object, ...]:
    return block_hashes([token for token in prompt for _ in range(BLOCK)])


def common(one: list[int], other: list[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


@given(prompts, st.lists(st.integers(1, 2), max_size=6))
def test_the_longest_beginning_that_was_sent_is_found(sent: list[list[int]], asked: list[int]) -> None:
    prefixes = SentPrefixes(capacity=1000)
    for prompt in sent:
        prefixes.add(hashes(prompt))
    assert prefixes.matched(hashes(asked)) == max((common(asked, prompt) for prompt in sent), default=0)


@given(prompts, st.integers(0, 8))
def test_no_more_blocks_are_kept_than_the_cache_holds(sent: list[list[int]], capacity: int) -> None:
    prefixes = SentPrefixes(capacity)
    for prompt in sent:
        prefixes.add(hashes(prompt))
        assert len(prefixes) <= capacity
    if sent and len(sent[-1]) <= capacity:
        assert prefixes.matched(hashes(sent[-1])) == len(sent[-1]), "the last prompt is the last to be forgotten"


def test_only_whole_blocks_count_and_salts_share_nothing() -> None:
    prompt = list(range(3 * BLOCK - 1))
    assert len(block_hashes(prompt)) == 2
    assert block_hashes(prompt, "one team") != block_hashes(prompt, "another")
    assert block_hashes(prompt, "one team")[0] == block_hashes(prompt[:BLOCK], "one team")[0]


events = st.lists(
    st.tuples(st.sampled_from(["sent", "heard", "finished", "cancelled"]), st.integers(0, 5), st.floats(0, 3)),
    max_size=40,
)


@given(events)
def test_a_book_holds_the_calls_that_have_not_ended(made: list[tuple[str, int, float]]) -> None:
    replica, now, number = book("a"), 0.0, 0
    open_calls: dict[int, int] = {}
    for what, which, pause in made:
        now += pause
        if what == "sent":
            replica.sent(completion(number, prompt=100), now)
            open_calls[number] = 0
            number += 1
        elif open_calls:
            chosen = sorted(open_calls)[which % len(open_calls)]
            if what == "heard":
                replica.heard(str(chosen), 3, now, COSTS)
                open_calls[chosen] += 3
            else:
                replica.ended(str(chosen), now, finished=what == "finished")
                del open_calls[chosen]
        assert {int(name): call.generated for name, call in replica.calls.items()} == open_calls
        assert all((call.unread == 0) == (call.generated > 0) for call in replica.calls.values())
        assert replica.load(now + 60) <= replica.load(now)
        assert 0 <= replica.age(now) <= now


def test_a_replica_with_nothing_to_answer_has_no_age() -> None:
    replica = book("a")
    assert replica.age(100.0) == 0.0
    replica.sent(completion(0), 100.0)
    assert replica.age(103.0) == 3.0
    replica.heard("0", 1, 104.0, COSTS)
    assert replica.age(105.0) == 1.0
    replica.heard("0", 1, 106.0, COSTS)
    replica.ended("0", 106.0, finished=True)
    assert replica.age(200.0) == 0.0


@pytest.mark.parametrize("heard_by", ["ping", "delta"])
def test_a_replica_whose_last_call_was_cancelled_for_its_silence_is_silent_until_it_is_heard_of(heard_by: str) -> None:
    replica = book("a")
    replica.sent(completion(0), 0.0)
    replica.pong()
    assert replica.is_silent(0.2), "a ping says nothing of an engine that has something to answer"
    replica.ended("0", 0.2, finished=False)
    assert replica.age(0.3) == 0.3
    replica.sent(completion(1), 0.3)
    assert replica.is_silent(0.3), "a new call is no news"
    replica.ended("1", 0.3, finished=False)
    if heard_by == "ping":
        replica.pong()
    else:
        replica.heard("1", 1, 0.4, COSTS)
    assert replica.age(0.5) == 0.0
    replica.sent(completion(2), 0.6)
    assert not replica.is_silent(0.6)


def test_a_call_that_is_cancelled_in_time_leaves_no_silence() -> None:
    replica = book("a")
    replica.sent(completion(0), 0.0)
    replica.ended("0", COSTS.recent_step, finished=False)
    assert replica.age(10.0) == 0.0


def test_deltas_bring_the_costs_and_late_ones_of_ended_calls_change_nothing_else() -> None:
    replica = ReplicaBook("a", Capacity(256, 1000))
    replica.heard("unknown", 1, 1.0, COSTS)
    assert replica.costs is COSTS
    assert not replica.calls


def test_a_call_needs_a_slot_and_blocks() -> None:
    replica = book("a", capacity=Capacity(slots=2, kv_blocks=10))
    assert not replica.fits(completion(0, prompt=321))
    replica.sent(completion(0, prompt=160), 0.0)
    assert replica.fits(completion(1, prompt=160))
    assert not replica.fits(completion(1, prompt=161))
    replica.sent(completion(1, prompt=1), 0.0)
    assert not replica.fits(completion(2, prompt=1)), "both slots are taken"


def test_long_answers_are_more_work_than_short_ones_and_cached_prompts_less() -> None:
    replica = book("a")
    assert replica.work(summary(0)) > replica.work(prefill(1)) > replica.work(completion(2))
    before = replica.work(completion(3, document=1))
    replica.sent(completion(3, document=1), 0.0)
    assert replica.work(completion(4, document=1)) < before
