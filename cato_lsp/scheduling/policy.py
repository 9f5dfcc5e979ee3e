"""The interface of a policy, and what it decides about a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from cato_lsp.scheduling.view import RequestView, StepView


@dataclass(slots=True)
class StepPlan:
    """Which requests run in the next step, in which order, with how many tokens.

    A running request without a grant is left out of the step and keeps its KV: a pause that costs nothing.
    """

    grants: dict[str, int] = field(default_factory=dict[str, int])
    """Request id to the most tokens it may compute, in the order in which blocks are handed out."""
    held: list[str] = field(default_factory=list[str])
    """Running requests left out, most valuable first: if blocks run short, the last one is preempted."""
    preempt: list[str] = field(default_factory=list[str])
    """Running requests that give up slot and KV now and wait again; they recompute later."""


class Policy(Protocol):
    """Decides, step by step, which tokens the engine computes.

    A policy is deterministic: it never sleeps, logs, reads a clock or draws a random number. The same object drives the
    live engine and the virtual-time twin. It may raise: that step then runs in vLLM's own order.
    """

    name: str

    def plan(self, view: StepView) -> StepPlan:
        """Return the plan for the next step. It grants a token to some request if any request can use one."""
        ...

    def ended(self, request: RequestView, *, finished: bool) -> None:
        """A request left the engine: `finished` by the model, or else aborted."""
        ...
