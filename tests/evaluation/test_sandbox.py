"""Programs of a model run without network and within limits."""

from __future__ import annotations

import pytest
from evaluation.sandbox import SandboxUnavailableError, succeeds

PROGRAMS = {
    "sound": ("assert 1 + 1 == 2", True),
    "wrong": ("assert 1 + 1 == 3", False),
    "no Python": ("def f(:", False),
    "for ever": ("while True: pass", False),
    "too much memory": ("x = bytearray(4 << 30)", False),
    "a file": ("with open('x', 'w') as file: file.write('y')", False),
    "network": ("import socket; socket.create_connection(('192.0.2.1', 80), 2)", False),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_succeeds_only_if_it_is_sound_and_keeps_to_the_limits(name: str) -> None:
    program, sound = PROGRAMS[name]
    try:
        assert succeeds(program) is sound
    except SandboxUnavailableError as error:
        pytest.skip(str(error))


def test_there_is_no_way_out_of_the_process() -> None:
    program = "import socket\nassert [name for _, name in socket.if_nameindex()] == ['lo']"
    try:
        assert succeeds(program)
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
