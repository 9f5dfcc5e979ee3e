"""Which calls are sent to a second replica, and where."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.fleet.hedging import in_danger, second_replica
from tests.fleet.calls import COSTS, book, completion, prefill, summary


def test_a_call_is_in_danger_once_its_replica_is_silent_and_its_deadline_near() -> None:
    home = book("home")
    home.sent(completion(1), 0.0)
    silent = 2 * COSTS.recent_step + home.backlog()
    assert not list(in_danger(home, silent)), "it may be in a step that reads the prompt"
    assert not list(in_danger(home, silent + 1e-3)), "as long again, and it is still on time"
    assert [each.call.id for each in in_danger(home, 0.1)] == ["1"]
    assert not list(in_danger(home, 0.2)), "too late to be rescued"


def test_a_delta_ends_the_silence() -> None:
    home = book("home")
    home.sent(completion(1), 0.0)
    home.sent(summary(2), 0.0)
    home.heard("2", 1, 0.09, COSTS)
    assert not list(in_danger(home, 0.1))


def test_an_answer_whose_deadline_is_for_its_first_token_is_safe_once_that_has_come() -> None:
    home = book("home")
    home.sent(completion(1), 0.0)
    home.sent(prefill(2), 0.0)
    home.heard("1", 1, 0.01, COSTS)
    assert not any(list(in_danger(home, 0.01 * n)) for n in range(100))


def test_a_long_answer_is_in_danger_from_the_time_that_the_rest_of_it_takes() -> None:
    home = book("home")
    home.sent(summary(1, seconds=6.0), 0.0)
    home.heard("1", 1, 0.2, COSTS)
    first = next(n for n in range(600) if list(in_danger(home, 0.01 * n)))
    late = 6.0 - COSTS.recent_step * home.lengths.remaining(summary(1).slo.kind, 1, 0.8)
    assert 0.2 < 0.01 * first < late


def test_the_second_replica_is_one_that_meets_the_deadline_and_loses_no_other() -> None:
    home, full, idle = book("home"), book("full"), book("idle")
    call = completion(1, prompt=3000)
    for number in range(2, 12):
        full.sent(completion(number), 0.0)
    assert second_replica(call, home, [home, full, idle], 0.05) is idle
    assert second_replica(call, home, [home, full], 0.05) is None
    assert second_replica(call, home, [home], 0.05) is None


def test_a_replica_that_is_silent_too_is_no_second() -> None:
    home, other = book("home"), book("other")
    other.sent(completion(2), 0.0)
    assert second_replica(completion(1), home, [home, other], 0.15) is None


@given(st.integers(1, 8000), st.integers(1, 40))
def test_no_call_is_in_danger_while_deltas_come_every_step(prompt: int, steps: int) -> None:
    home = book("home")
    home.sent(summary(0), 0.0)
    for step in range(1, steps):
        now = step * COSTS.recent_step
        home.heard("0", 1, now, COSTS)
        home.sent(completion(step, prompt=prompt, arrival=now), now)
        assert not list(in_danger(home, now + 1.5 * COSTS.recent_step))
