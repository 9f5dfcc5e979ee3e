"""A bound on goodput that no policy can beat.

Whoever knew every arrival and every answer's length still could not compute more than one second of work a
second. Take from a real schedule everything but the calls that kept their promise, and let go of the fixed
cost of steps, of whole tokens and of the order of decoding: what is left is, for each kept call, an amount of
work (its tokens, and the context that they attend to) done between its arrival and its deadline, on one
machine that may switch at any instant. So the most calls that such a machine can keep is a bound; and letting
it keep *parts* of calls only raises it.

That problem is solved exactly. The amounts of time that can be given to calls within their windows form a
polymatroid (they are flows from time to calls), so the greedy rule is optimal: go through calls from the
lightest to the heaviest, give each as much as still fits. What still fits is the least slack `t - s - (work
given within [s, t])` over the intervals from an arrival s to a deadline t that contain the call's window
(Hall's condition for flows on intervals).
"""

from __future__ import annotations

from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.workload import Workload, WorkloadCall
from cato_lsp.scheduling.slo import ServiceClass, TaskKind


def least_work(call: WorkloadCall, workload: Workload, profile: HardwareProfile) -> float:
    """Seconds that no schedule can save on a kept call, fixed costs of steps aside."""
    token, context = profile.seconds_per_token, profile.seconds_per_context_token
    if workload.slo(call, 0.0).service is ServiceClass.TTFT:
        return token * call.prompt + context * call.prompt
    decodes = call.answer - 1
    attended = call.prompt + decodes * call.prompt + decodes * (decodes + 1) / 2
    return token * (call.prompt + decodes) + context * attended


def clairvoyant_kept(workload: Workload, profile: HardwareProfile) -> dict[TaskKind, float]:
    """How many calls of each kind (in parts) the bound keeps. Takes quadratic memory in the number of calls.

    Raises:
        ValueError: the workload shares prefixes or cancels calls, for which the bound does not hold.
    """
    import numpy as np

    if workload.shares_prefixes:
        raise ValueError("the clairvoyant bound is for workloads without shared prefixes and cancellations")
    jobs: list[tuple[float, float, float, TaskKind]] = []
    for call in workload.calls:
        slo = workload.slo(call, call.time)
        work = least_work(call, workload, profile)
        steps = 1 if slo.service is ServiceClass.TTFT else call.answer
        if work + steps * profile.step_seconds <= slo.deadline - slo.arrival:
            jobs.append((work, slo.arrival, slo.deadline, call.kind))
    jobs.sort(key=lambda job: job[:3])
    starts = np.array(sorted({job[1] for job in jobs}))
    ends = np.array(sorted({job[2] for job in jobs}))
    slack = ends[None, :] - starts[:, None]
    slack[slack < 0] = np.inf
    parts = dict.fromkeys(TaskKind, 0.0)
    for work, arrival, deadline, kind in jobs:
        inside = slack[: int(np.searchsorted(starts, arrival, "right")), int(np.searchsorted(ends, deadline)) :]
        given = min(work, float(inside.min()))
        if given > 0:
            inside -= given
            parts[kind] += given / work
    return parts
