"""A call on the wire and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cato_lsp.remote.calls import from_wire, to_wire
from tests.conftest import make_call


def test_a_call_keeps_its_weight_and_its_tasks_work_over_the_wire() -> None:
    call = make_call()
    call = replace(call, slo=replace(call.slo, weight=0.2, task_work=3.0))
    message = to_wire(1, call, 0.0, None)
    read = from_wire(message, 0.0, 0.0, client="laptop", cache_salt=None, spellings=None, vocabulary=100_000)
    assert (read.slo.weight, read.slo.task_work) == (0.2, pytest.approx(3.0))


def test_the_way_of_the_call_is_subtracted_and_from_the_deadline_that_of_the_answer_too() -> None:
    call = make_call()
    call = replace(call, slo=replace(call.slo, arrival=100.0, deadline=101.0))
    message = to_wire(1, call, 100.5, None)
    read = from_wire(message, 7.0, 0.2, client="laptop", cache_salt=None, spellings=None, vocabulary=100_000)
    # On the server's clock it was sent at 6.9, half a second after its arrival and half a second before its deadline.
    # An answer needs 0.1 s to the laptop.
    assert (read.slo.arrival, read.slo.deadline) == (pytest.approx(6.4), pytest.approx(7.3))
