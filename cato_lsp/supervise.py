"""Keeps background loops running, and shows errors without the user code that their messages may quote."""

from __future__ import annotations

import logging
import textwrap
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import cast

import anyio

logger = logging.getLogger(__name__)

FIRST_BACK_OFF = 1.0
LONGEST_BACK_OFF = 60.0
"""Seconds between a failure and the next start: doubled from the first to the longest."""
_FRAMES = 30
"""Innermost frames of a traceback that are shown."""


async def supervise(name: str, loop: Callable[[], Awaitable[object]]) -> None:
    """Run a background loop until it returns or is cancelled.

    An exception is logged with its traceback, and the loop starts again after a back-off. So a failure of one loop
    ends nothing else in the task group that runs it.

    :param name: what the log calls the loop.
    """
    back_off = FIRST_BACK_OFF
    while True:
        started = time.monotonic()
        try:
            await loop()
        except Exception as error:  # containing every failure is what this function is for
            if time.monotonic() - started > LONGEST_BACK_OFF:
                back_off = FIRST_BACK_OFF
            logger.error("%s failed; it starts again in %g s.\n%s", name, back_off, traceback_of(error))
        else:
            return
        await anyio.sleep(back_off)
        back_off = min(2 * back_off, LONGEST_BACK_OFF)


def traceback_of(error: BaseException) -> str:
    """The traceback of an error and of its causes, with the types of the exceptions but without their messages.

    A message may quote what the user has written (a `KeyError`, a tokenizer's complaint). Only the operating system's
    messages are kept.
    """
    parts: list[str] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        parts += [traceback_of(cause), "", "This led to:", ""]
    parts += ["Traceback (most recent call last):"]
    parts += [line.rstrip() for line in traceback.format_tb(error.__traceback__, limit=-_FRAMES)]
    reason = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    parts.append(f"{type(error).__module__}.{type(error).__qualname__}{reason}".removeprefix("builtins."))
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        parts += [textwrap.indent(traceback_of(each), "  ") for each in group.exceptions]
    return "\n".join(parts)
