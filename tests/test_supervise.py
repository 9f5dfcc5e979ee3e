"""Background loops outlive their failures."""

from __future__ import annotations

import logging

import anyio
import pytest

from cato_lsp import supervise as supervision
from cato_lsp.supervise import supervise, traceback_of

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The back-offs, which take no time."""
    taken: list[float] = []

    async def sleep(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(supervision.anyio, "sleep", sleep)
    return taken


async def test_a_loop_that_fails_is_logged_with_its_traceback_and_starts_again(
    caplog: pytest.LogCaptureFixture, pauses: list[float]
) -> None:
    runs, code = 0, "password = 'hunter" + "2'"

    async def failing_twice() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise KeyError(code)

    await supervise("The test loop", failing_twice)
    assert runs == 3
    assert pauses == [1.0, 2.0]
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == 2
    assert "The test loop failed" in caplog.text
    assert "in failing_twice" in caplog.text
    assert "hunter2" not in "".join(record.getMessage() for record in records)


async def test_the_back_off_is_bounded_and_starts_over_after_a_long_run(
    monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    now = 0.0
    monkeypatch.setattr(supervision.time, "monotonic", lambda: now)
    runs = 0

    async def loop() -> None:
        nonlocal runs, now
        runs += 1
        if runs == 9:
            now += 100.0
        if runs < 10:
            raise RuntimeError

    await supervise("loop", loop)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 1.0]


async def test_its_neighbours_in_the_task_group_notice_nothing() -> None:
    restarted = anyio.Event()
    runs = 0

    async def loop() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            async with anyio.create_task_group() as inner:
                inner.start_soon(fail)
        restarted.set()
        await anyio.sleep_forever()

    async def fail() -> None:
        raise ValueError

    async with anyio.create_task_group() as group:
        group.start_soon(supervise, "loop", loop)
        await restarted.wait()
        group.cancel_scope.cancel()
    assert runs == 2


def test_a_traceback_shows_causes_and_groups_but_no_messages() -> None:
    try:
        try:
            raise KeyError("secret")
        except KeyError as error:
            raise ExceptionGroup("secret", [PermissionError(13, "Permission denied", "/secret")]) from error
    except ExceptionGroup as error:
        shown = traceback_of(error)
    assert "secret" not in shown.replace('"secret"', "").replace('"/secret"', "")  # the source lines of this test
    assert [line for line in shown.split("\n") if line.strip() in ("KeyError", "ExceptionGroup")]
    assert "  PermissionError: Permission denied" in shown
    assert "This led to:" in shown
