"""Unfinished requests, sorted by what they need from the next step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cato_lsp.scheduling.slo import ServiceClass
from cato_lsp.scheduling.view import RequestView

DECODE_TOKENS = 16
"""An answered request with no more than this to compute is decoding (perhaps with speculative tokens)."""


@dataclass(slots=True)
class Queues:
    """Requests that could compute something, by what they need."""

    decoding: list[RequestView] = field(default_factory=list[RequestView])
    """In the middle of an answer."""
    urgent: list[RequestView] = field(default_factory=list[RequestView])
    """Unanswered; their first token is due and not yet late."""
    e2e: list[RequestView] = field(default_factory=list[RequestView])
    """Prompts of calls whose last token is due."""
    late: list[RequestView] = field(default_factory=list[RequestView])
    """Calls whose first token is overdue, and interrupted answers that must be computed again."""
    background: list[RequestView] = field(default_factory=list[RequestView])
    """Calls without a deadline; those already answering come first."""


def sort_requests(requests: Iterable[RequestView], now: float) -> Queues:
    """Sort requests into queues, each in the order given."""
    queues = Queues()
    for request in (each for each in requests if each.todo > 0):
        service = request.slo.service
        if service is ServiceClass.BACKGROUND:
            queues.background.append(request)
        elif request.generated and request.todo <= DECODE_TOKENS:
            queues.decoding.append(request)
        elif service is ServiceClass.E2E:
            queues.e2e.append(request)
        elif request.slo.deadline > now and not request.generated:
            queues.urgent.append(request)
        else:
            queues.late.append(request)
    queues.background.sort(key=lambda request: not request.generated)
    return queues
