"""Runs workloads in virtual time and summarizes them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

from cato_lsp.bench.clairvoyant import clairvoyant_met
from cato_lsp.bench.fleet_plan import FleetPlan
from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.metrics import KINDS, run_summary
from cato_lsp.bench.policies import CLAIRVOYANT, policy_named
from cato_lsp.bench.result import Run
from cato_lsp.bench.routers import ROUTERS
from cato_lsp.bench.workload import Workload

Progress = Callable[[str, float], None]
"""Called with a policy's name and the virtual seconds played so far."""


def simulate(
    workload: Workload, policies: Iterable[str], profile: HardwareProfile, progress: Progress | None = None
) -> list[Run]:
    """Play the workload under each policy (the clairvoyant bound aside)."""
    from cato_lsp.bench.twin import Twin

    runs: list[Run] = []
    for name in policies:
        if name == CLAIRVOYANT:
            continue
        twin = Twin(workload, policy_named(name), profile)
        with without_garbage_collection():
            runs.append(twin.play(None if progress is None else partial(progress, name)))
            del twin
    return runs


def simulate_fleet(
    workload: Workload,
    policies: Iterable[str],
    routers: Iterable[str],
    plan: FleetPlan,
    profile: HardwareProfile,
    progress: Progress | None = None,
) -> list[Run]:
    """Play the workload on a fleet under each policy with each router; a run's name is ``POLICY/ROUTER``.

    Raises:
        ValueError: the policy is the clairvoyant bound, or the router needs Ray, which is not installed.
    """
    from cato_lsp.bench.fleet import FleetTwin

    runs: list[Run] = []
    for policy, router in product(policies, routers):
        name = f"{policy}/{router}"
        with without_garbage_collection():
            twin = FleetTwin(workload, policy_named(policy), profile, plan, ROUTERS[router])
            run = twin.play(None if progress is None else partial(progress, name))
            runs.append(replace(run, policy=name))
            del twin
    return runs


@contextmanager
def without_garbage_collection() -> Generator[None]:
    """Play without it, as vLLM allocates much and frees all of it by reference counts; afterwards all is collected."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()  # vLLM freezes what exists when an engine starts
        gc.collect()


def clairvoyant_summary(workload: Workload, profile: HardwareProfile) -> dict[str, Any]:
    """The bound in the form of a run's summary; what a bound has no value of is left out."""
    met = clairvoyant_met(workload, profile)
    offered = {kind: sum(call.kind is kind for call in workload.calls) for kind in KINDS}
    return {
        "goodput_per_s": sum(met.values()) / workload.duration,
        "offered_per_s": sum(offered.values()) / workload.duration,
        "kinds": {kind.value: {"n": offered[kind], "attained": met[kind] / max(1, offered[kind])} for kind in KINDS},
    }


def summarize(
    workload: Workload, policies: Iterable[str], runs: Iterable[Run], profile: HardwareProfile
) -> dict[str, Any]:
    """`{policy: figures}`, the bound among them if it was asked for."""
    summary = {run.policy: run_summary(run) for run in runs}
    if CLAIRVOYANT in policies:
        summary[CLAIRVOYANT] = clairvoyant_summary(workload, profile)
    return summary
