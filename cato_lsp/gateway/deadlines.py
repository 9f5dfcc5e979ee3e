"""What became of a call's deadline."""

from __future__ import annotations

import math
from enum import StrEnum

from cato_lsp.scheduling.slo import ServiceClass, Slo


class Outcome(StrEnum):
    """How a call ended."""

    MET = "met"
    MISSED = "missed"
    NONE = "none"
    """It had no deadline."""
    CANCELLED = "cancelled"
    """Its user went on before its deadline could be judged."""
    FAILED = "failed"


def judge(slo: Slo, first_token: float | None, ended: float, *, finished: bool, failed: bool) -> Outcome:
    """Judge a call that has ended. Times are seconds on the monotonic clock.

    :param finished: whether the engine ended the answer by itself.
    """
    if failed:
        return Outcome.FAILED
    if math.isinf(slo.deadline):
        return Outcome.NONE if finished else Outcome.CANCELLED
    due = first_token if slo.service is ServiceClass.TTFT else ended if finished else None
    if due is None:
        # Cancelled late, it was missed all the same.
        return Outcome.CANCELLED if ended <= slo.deadline else Outcome.MISSED
    return Outcome.MET if due <= slo.deadline else Outcome.MISSED
