"""Who has had more than a fair share, and who is forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.scheduling.fairness import MOST_AWAY, MOST_DEBT, STAYS, ClientShares


def served(shares: ClientShares, client: str, tokens: float) -> None:
    """One request of the client, from arrival to end."""
    shares.enter(client)
    shares.charge(client, tokens)
    shares.leave(client)


def owed(shares: ClientShares, *clients: str) -> dict[str, float]:
    """What each of them would owe with a request."""
    for client in clients:
        shares.enter(client)
    excess = shares.excess()
    for client in clients:
        shares.leave(client)
    return excess


def test_who_gets_more_than_a_share_owes_it() -> None:
    shares = ClientShares()
    for client in ("one", "other"):
        shares.enter(client)
    shares.charge("one", 500)
    assert shares.excess() == {"one": 250, "other": 0}
    shares.charge("other", 500)
    assert shares.excess() == {"one": 0, "other": 250}


def test_who_has_the_machine_alone_owes_nothing() -> None:
    shares = ClientShares()
    shares.enter("busy")
    shares.charge("busy", 10_000)
    assert shares.excess() == {}
    shares.enter("newcomer")
    assert shares.excess() == {"busy": 0, "newcomer": 0}


def test_a_debt_outlives_the_moment_when_nobody_waits() -> None:
    shares = ClientShares()
    for _ in range(10):
        for client in ("greedy", "modest"):
            shares.enter(client)
        shares.charge("modest", 100)
        shares.leave("modest")
        shares.charge("greedy", 400)
        shares.leave("greedy")
    owes = owed(shares, "greedy", "modest")
    assert owes["greedy"] >= 10 * (400 - 250)
    assert owes["modest"] == 0


def test_a_client_that_was_away_earns_no_credit() -> None:
    """Neither for staying away, nor for having asked for little."""
    shares = ClientShares()
    served(shares, "idle", 10)
    for _ in range(20):
        served(shares, "busy", STAYS)
    assert owed(shares, "busy", "idle") == {"busy": 0, "idle": 0}
    for client in ("busy", "idle"):
        shares.enter(client)
    shares.charge("idle", 100)
    assert shares.excess() == {"busy": 0, "idle": 50}


def test_a_short_rest_puts_no_more_on_the_others_than_was_computed_meanwhile() -> None:
    shares = ClientShares()
    served(shares, "resting", 10)
    served(shares, "busy", STAYS / 2)
    assert owed(shares, "busy", "resting")["busy"] <= STAYS / 2


def test_a_debt_is_paid_by_staying_away_while_others_are_served() -> None:
    shares = ClientShares()
    shares.enter("light")
    served(shares, "heavy", 100_000)
    assert owed(shares, "heavy", "light")["heavy"] == pytest.approx(50_000)
    served(shares, "other", STAYS)
    served(shares, "other", 1)
    assert owed(shares, "heavy", "light")["heavy"] == 0


def test_nothing_is_owed_to_who_went_away() -> None:
    shares = ClientShares()
    shares.enter("light")
    served(shares, "heavy", 100_000)
    shares.leave("light")
    shares.enter("heavy")
    shares.charge("heavy", STAYS + 1)
    assert owed(shares, "newcomer") == {"heavy": 0, "newcomer": 0}


def test_no_debt_grows_beyond_a_bound() -> None:
    shares = ClientShares()
    for client in ("light", "heavy"):
        shares.enter(client)
    for _ in range(100):
        shares.charge("heavy", 50_000)
    assert shares.excess()["heavy"] == pytest.approx(MOST_DEBT)


def test_windows_that_come_and_go_for_weeks_are_not_all_remembered() -> None:
    shares = ClientShares()
    for number in range(5000):
        served(shares, f"window {number}", 500)
        assert len(shares) <= STAYS / 500 + 2
    for number in range(5000):  # and some that leave before anything is computed
        shares.enter(f"brief window {number}")
        shares.leave(f"brief window {number}")
    assert len(shares) <= MOST_AWAY


events = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 40_000)), max_size=60)


@given(events)
def test_debts_are_never_negative_and_never_more_than_was_computed(drawn: list[tuple[str, int]]) -> None:
    shares, had = ClientShares(), dict.fromkeys("abcde", 0)
    for client, tokens in drawn:
        served(shares, client, tokens)
        had[client] += tokens
        for each, owes in owed(shares, *"abcde").items():
            assert 0 <= owes <= min(had[each], MOST_DEBT)
