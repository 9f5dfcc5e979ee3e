"""The interface of a policy."""

from __future__ import annotations

from typing import Protocol

from cato_lsp.scheduling.plan import StepPlan
from cato_lsp.scheduling.view import RequestView, StepView


class Policy(Protocol):
    """Decides, step by step, which tokens the engine computes.

    A policy is deterministic: it sleeps never, logs nothing, reads no clock and draws no random number. The same object
    drives the live engine and the virtual-time twin. It may raise: that step then runs in vLLM's own order.
    """

    name: str

    def plan(self, view: StepView) -> StepPlan:
        """The plan for the next step. Every plan grants a token to somebody if anybody can use one."""
        ...

    def ended(self, request: RequestView, *, finished: bool) -> None:
        """A request left the engine: `finished` by the model, or else aborted by its owner."""
        ...
