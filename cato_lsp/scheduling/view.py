"""What a policy may know: the unfinished requests and the engine's limits, at one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import Slo


@dataclass(slots=True, eq=False)
class RequestView:
    """One unfinished request. The scheduler keeps one object per request and updates it every step.

    Counts are tokens. A policy only reads it.
    """

    id: str
    slo: Slo
    prompt: int
    """Length of the prompt."""
    max_tokens: int
    """The longest answer the request may have."""
    order: int
    """Position in the order of arrival at the engine, from 0."""
    running: bool = False
    """Whether it holds a slot and KV blocks; else it waits."""
    computed: int = 0
    """Tokens whose KV is held (running) or would be found in the prefix cache (waiting); counts tokens in flight."""
    todo: int = 0
    """Tokens that could be computed now: what is left of the prefill, or 1 (more when speculating) for a decode."""
    generated: int = 0
    """Tokens answered so far (the engine has seen them), over all preemptions."""


@dataclass(slots=True)
class StepView:
    """The engine just before a step."""

    now: float
    """Seconds, on the clock of the deadlines."""
    running: list[RequestView]
    """Requests that hold a slot and KV blocks."""
    waiting: list[RequestView]
    """Requests that hold neither: new ones, and preempted ones that will recompute."""
    max_tokens: int
    """Most tokens one step may compute."""
    max_slots: int
    """Most requests that may hold a slot."""
    free_blocks: int
    """KV blocks that can be handed out (unused, or only kept as prefix cache)."""
    block_size: int
    """Tokens per KV block."""
    typing_until: float = -math.inf
    """Until this time an urgent arrival is likely, because a user is typing."""
    costs: StepCosts = field(default_factory=StepCosts)
    """What a step costs on this machine, as learned so far."""
