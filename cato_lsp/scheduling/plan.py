"""What a policy decides about one step."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class StepPlan:
    """Who runs in the next step, in which order, with how many tokens.

    A running request without a grant is left out of the step and keeps its KV: a pause that costs nothing.
    """

    grants: dict[str, int] = field(default_factory=dict[str, int])
    """Request id to the most tokens it may compute, in the order in which blocks are handed out."""
    held: list[str] = field(default_factory=list[str])
    """Running requests left out, most valuable first: if blocks run short, the last gives its own back."""
    preempt: list[str] = field(default_factory=list[str])
    """Running requests that give up slot and KV now and wait again; they recompute later."""
