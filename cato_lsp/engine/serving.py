"""The scheduler in stock vLLM: ``vllm serve --scheduler-cls cato_lsp.engine.serving.CatoScheduler``.

A request carries its deadline in flat ``vllm_xargs``: ``cato_slack_ms`` (the time left; not a timestamp, since client
and server may have different clocks), ``cato_kind``, ``cato_service`` and ``cato_client``. A request without them, or
with invalid values, gets the default deadline.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler

from cato_lsp.engine.scheduler import CatoMixin
from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

if TYPE_CHECKING:
    from vllm.v1.request import Request


class _ServingMixin(CatoMixin):
    """Makes its own policy, and rebuilds a request's `Slo` when it arrives."""

    clock = staticmethod(time.monotonic)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.policy_object = CatoPolicy()
        super().__init__(*args, **kwargs)

    def add_request(self, request: Request) -> None:
        """Add a request with the deadline of its ``vllm_xargs``."""
        params = request.sampling_params
        if params is not None and params.extra_args and "cato_slack_ms" in params.extra_args:
            slo = slo_of_xargs(params.extra_args, self.clock())
            if slo is not None:
                params.extra_args = {**params.extra_args, "cato": slo}
        super().add_request(request)


def slo_of_xargs(xargs: Mapping[str, Any], now: float) -> Slo | None:
    """Read an SLO from flat arguments; ``None`` if they are invalid.

    :param now: when the request arrived, on the scheduler's clock (s).
    """
    try:
        slack = float(xargs["cato_slack_ms"]) / 1000
        kind = TaskKind(xargs.get("cato_kind", TaskKind.GENERATION))
        end_to_end = kind in (TaskKind.SUMMARIZATION, TaskKind.TRANSLATION)
        usual = ServiceClass.E2E if end_to_end else ServiceClass.TTFT
        service = ServiceClass(xargs.get("cato_service", usual))
    except (ValueError, TypeError):
        return None
    if math.isnan(slack):
        return None
    deadline = math.inf if service is ServiceClass.BACKGROUND else now + slack
    return Slo(kind, service, now, deadline, client=str(xargs.get("cato_client", "")))


class CatoScheduler(_ServingMixin, Scheduler):
    """For servers without async scheduling: on a CPU, or with ``--no-async-scheduling``."""


class CatoAsyncScheduler(_ServingMixin, AsyncScheduler):
    """For servers with async scheduling, as on a GPU."""
