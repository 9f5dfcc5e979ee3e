"""Whether a call met its deadline."""

from __future__ import annotations

import math
from enum import StrEnum

from cato_lsp.scheduling.slo import ServiceClass, Slo


class Outcome(StrEnum):
    """The outcome of a call."""

    MET = "met"
    MISSED = "missed"
    NONE = "none"
    """The call had no deadline."""
    CANCELLED = "cancelled"
    """The call was cancelled before its deadline."""
    FAILED = "failed"


def judge(slo: Slo, first_token: float | None, ended: float, *, finished: bool, failed: bool) -> Outcome:
    """Return the outcome of a call that has ended. Times are seconds on the monotonic clock.

    :param finished: whether the engine completed the answer.
    """
    if failed:
        return Outcome.FAILED
    if math.isinf(slo.deadline):
        return Outcome.NONE if finished else Outcome.CANCELLED
    due = first_token if slo.service is ServiceClass.TTFT else ended if finished else None
    if due is None:
        # A call that is cancelled after its deadline has missed it.
        return Outcome.CANCELLED if ended <= slo.deadline else Outcome.MISSED
    return Outcome.MET if due <= slo.deadline else Outcome.MISSED
