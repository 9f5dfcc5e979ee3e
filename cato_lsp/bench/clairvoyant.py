"""A bound on goodput that no policy can beat.

Even a policy that knows every arrival and the length of every answer cannot compute more than one second of work
per second. Take any real schedule and keep only the calls whose deadline it meets. Relax it: steps have no fixed
cost, tokens can be split, and tokens may be decoded in any order. Then each of these calls is an amount of work
(its tokens, and the context that they attend to), done between its arrival and its deadline, on one machine that
may switch between calls at any time. So the largest number of calls that such a machine can finish on time is an
upper bound. Counting *parts* of calls, too, can only raise it.

The relaxed problem is solved exactly. The amounts of time that can be given to calls within their windows form a
polymatroid (they are flows from time to calls), so a greedy rule is optimal: go through the calls by increasing
work, and give each as much as still fits. The amount that still fits is the least slack `t - s - (work given within
[s, t])` over the intervals from an arrival s to a deadline t that contain the call's window (Hall's condition for
flows on intervals).
"""

from __future__ import annotations

from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.workload import Workload, WorkloadCall
from cato_lsp.scheduling.slo import ServiceClass, TaskKind


def least_work(call: WorkloadCall, workload: Workload, profile: HardwareProfile) -> float:
    """The least seconds of work that meet the call's deadline, without the fixed costs of steps."""
    token, context = profile.seconds_per_token, profile.seconds_per_context_token
    if workload.slo(call, 0.0).service is ServiceClass.TTFT:
        return token * call.prompt + context * call.prompt
    decodes = call.answer - 1
    attended = call.prompt + decodes * call.prompt + decodes * (decodes + 1) / 2
    return token * (call.prompt + decodes) + context * attended


def clairvoyant_met(workload: Workload, profile: HardwareProfile) -> dict[TaskKind, float]:
    """The upper bound on the deadlines met, by kind (a sum of parts of calls).

    Memory is quadratic in the number of calls.

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
