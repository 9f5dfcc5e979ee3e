"""Unfinished requests, sorted by what they need from the next step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from cato_lsp.scheduling.slo import ServiceClass
from cato_lsp.scheduling.view import RequestView

DECODE_TOKENS = 16
"""An answered request with no more than this to compute is decoding (perhaps with speculative tokens)."""


def _requests() -> list[RequestView]:
    return []


def _queue() -> deque[RequestView]:
    return deque()


@dataclass(slots=True)
class Queues:
    """Requests that could compute something, by what they need."""

    decoding: list[RequestView] = field(default_factory=_requests)
    """In the middle of an answer."""
    yielding: list[RequestView] = field(default_factory=_requests)
    """In the middle of an answer whose promise is broken."""
    urgent: list[RequestView] = field(default_factory=_requests)
    """Unanswered, first token due, and not yet late."""
    late: list[RequestView] = field(default_factory=_requests)
    """First token overdue, or an interrupted answer to compute again."""
    e2e: list[RequestView] = field(default_factory=_requests)
    """Prompts whose last answer token is due."""
    background: deque[RequestView] = field(default_factory=_queue)
    """Nobody waits for these; those already answering come first."""


def sort_requests(requests: Iterable[RequestView], now: float) -> Queues:
    """Sort requests into queues, each in the order given."""
    queues = Queues()
    decoding, yielding, urgent = queues.decoding, queues.yielding, queues.urgent
    late, e2e, background = queues.late, queues.e2e, queues.background
    for request in requests:
        todo = request.todo
        if todo <= 0:
            continue
        slo = request.slo
        service = slo.service
        if service is ServiceClass.BACKGROUND:
            if request.generated:
                background.appendleft(request)
            else:
                background.append(request)
        elif request.generated and todo <= DECODE_TOKENS:
            (yielding if service is ServiceClass.E2E and slo.deadline < now else decoding).append(request)
        elif service is ServiceClass.TTFT:
            (urgent if slo.deadline > now and not request.generated else late).append(request)
        else:
            e2e.append(request)
    return queues
