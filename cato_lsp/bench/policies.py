"""The policies a benchmark can compare, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.policy import Policy


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """A policy of ours or a configuration of stock vLLM."""

    name: str
    make_policy: Callable[[], Policy] | None = None
    """None: stock vLLM, untouched."""
    engine_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """More arguments for `EngineArgs`."""

    def scheduler_cls(self, clock: Callable[[], float], *, async_scheduling: bool = False) -> type | None:
        """The class for `EngineArgs(scheduler_cls=...)`; None for vLLM's own."""
        if self.make_policy is None:
            return None
        from cato_lsp.engine.scheduler import make_scheduler_cls

        return make_scheduler_cls(self.make_policy(), async_scheduling=async_scheduling, clock=clock)


SPECS = {
    spec.name: spec
    for spec in (
        PolicySpec("fcfs"),
        PolicySpec("priority", None, {"scheduling_policy": "priority"}),
        PolicySpec("fcfs-512", None, {"max_num_batched_tokens": 512}),
        PolicySpec("fcfs-2048", None, {"max_num_batched_tokens": 2048}),
        PolicySpec("long-prefill", None, {"long_prefill_token_threshold": 1024}),
        PolicySpec("cato", CatoPolicy),
    )
}
