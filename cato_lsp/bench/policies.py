"""The policies a benchmark can compare, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cato_lsp.bench.baselines import EarliestDeadlineFirst, PressureAdaptive
from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.options import CatoOptions
from cato_lsp.scheduling.policy import Policy

CLAIRVOYANT = "clairvoyant"
"""Not a policy but an upper bound for all policies; see `cato_lsp.bench.clairvoyant`."""


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """A policy of this project, or a configuration of stock vLLM."""

    name: str
    summary: str
    make_policy: Callable[[], Policy] | None = None
    """None: stock vLLM."""
    engine_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Additional arguments for `EngineArgs`."""

    def scheduler_cls(self, clock: Callable[[], float], *, async_scheduling: bool = False) -> type | None:
        """The class for `EngineArgs(scheduler_cls=...)`; None for vLLM's own."""
        if self.make_policy is None:
            return None
        from cato_lsp.engine.scheduler import make_scheduler_cls

        return make_scheduler_cls(self.make_policy(), async_scheduling=async_scheduling, clock=clock)


def _cato(name: str, summary: str, **changes: Any) -> PolicySpec:
    options = replace(CatoOptions(), **changes)
    return PolicySpec(name, summary, lambda: CatoPolicy(options, name))


_ALL = (
    PolicySpec("fcfs", "stock vLLM, first come first served, 8,192 tokens a step"),
    PolicySpec("priority", "stock vLLM, priority by kind of task", None, {"scheduling_policy": "priority"}),
    PolicySpec("fcfs-512", "stock vLLM, chunks of 512", None, {"max_num_batched_tokens": 512}),
    PolicySpec("fcfs-2048", "stock vLLM, chunks of 2,048", None, {"max_num_batched_tokens": 2048}),
    PolicySpec("long-prefill", "stock vLLM, 1,024 tokens a prompt", None, {"long_prefill_token_threshold": 1024}),
    PolicySpec("edf", "earliest deadline first", EarliestDeadlineFirst),
    PolicySpec("pressure", "vLLM's order, prefill budget by pressure (P-PAS+)", PressureAdaptive),
    _cato("cato", "ours"),
)

POLICIES = {spec.name: spec for spec in _ALL}
"""Every policy by name."""

BASELINES = ("fcfs", "priority", "fcfs-512", "fcfs-2048", "long-prefill", "edf", "pressure")


def policy_named(name: str) -> PolicySpec:
    """Return a policy by its name. `cato:use=1.5` changes a number of `cato` (see `CatoOptions`).

    Raises:
        ValueError: no such policy, or no such number.
    """
    if name in POLICIES:
        return POLICIES[name]
    head, _, changes = name.partition(":")
    if head != "cato" or not changes:
        known = ", ".join([*POLICIES, CLAIRVOYANT, "baselines", "cato:NUMBER=VALUE"])
        raise ValueError(f"unknown policy {name!r}; known: {known}")
    values: dict[str, float] = {}
    known_as = asdict(CatoOptions())
    for change in changes.split(":"):
        number, _, value = change.partition("=")
        if number not in known_as:
            raise ValueError(f"unknown number {number!r} in {name!r}; known: {', '.join(known_as)}")
        values[number] = type(known_as[number])(float(value))
    return _cato(name, f"ours with {changes}", **values)


def parse_policies(names: str) -> list[str]:
    """Parse a comma-separated list of policy names; `baselines` means all baselines.

    Raises:
        ValueError: a name is unknown.
    """
    found: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        group = BASELINES if name == "baselines" else (name,)
        found += [n for n in group if n not in found]
    for name in found:
        if name != CLAIRVOYANT:
            policy_named(name)
    return found
