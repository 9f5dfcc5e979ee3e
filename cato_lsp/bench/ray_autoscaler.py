"""Ray Serve's default autoscaler, with Ray's own policy, settings and delays."""

from __future__ import annotations

import importlib
import math
import os
from collections import deque
from collections.abc import Sequence
from typing import Any

from cato_lsp.fleet.books import NewCall, ReplicaBook


class RayAutoscaler:
    """As many replicas as bring the open calls of each to ``target_ongoing_requests``, averaged over the last 30 s.

    It knows the open calls at once, where Ray's replicas and handles report them every 10 s.

    :param settings: fields of Ray's `AutoscalingConfig` that differ from its defaults.

    Raises:
        ValueError: Ray Serve is not installed.
    """

    def __init__(self, least: int, most: int, **settings: Any) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            self._ray: Any = importlib.import_module("ray.serve.autoscaling_policy")
        except ImportError as error:
            raise ValueError(f"Ray's autoscaler needs Ray (pip install cato-lsp[fleet]): {error}") from error
        self._config: Any = self._ray.AutoscalingConfig(min_replicas=least, max_replicas=most, **settings)
        self._delays: dict[str, Any] = {}
        self._open: deque[tuple[float, int]] = deque()

    def routed(self, _call: NewCall, _chosen: ReplicaBook, _books: Sequence[ReplicaBook], _now: float, /) -> None:
        """See `Autoscaler.routed`."""

    def target(self, books: Sequence[ReplicaBook], target: int, now: float, /) -> int:
        """See `Autoscaler.target`."""
        ray, config = self._ray, self._config
        self._open.append((now, sum(len(book.calls) for book in books)))
        while self._open[0][0] <= now - config.look_back_period_s:
            self._open.popleft()
        unused = dict.fromkeys(("deployment_id", "deployment_name", "app_name", "running_replicas"))
        unused |= dict.fromkeys(("aggregated_metrics", "raw_metrics", "last_scale_up_time", "last_scale_down_time"))
        context = ray.AutoscalingContext(
            current_num_replicas=len(books),
            target_num_replicas=target,
            total_num_requests=sum(count for _, count in self._open) / len(self._open),
            total_queued_requests=0.0,
            capacity_adjusted_min_replicas=config.min_replicas,
            capacity_adjusted_max_replicas=config.max_replicas,
            policy_state=self._delays,
            current_time=now,
            config=config,
            **unused,
        )
        wanted, _ = ray.default_autoscaling_policy(context)
        # What Ray's decorator does with the result; it would read the clock of the machine.
        wanted = ray._apply_scaling_factors(wanted, len(books), config)
        wanted, self._delays = ray._apply_delay_logic(max(0, wanted), target, config, self._delays, now)
        return max(config.min_replicas, min(config.max_replicas, math.ceil(wanted)))
