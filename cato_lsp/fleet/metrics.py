"""Metrics of a fleet for Prometheus: each replica, and what happens between them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cato_lsp.fleet.members import Members


class FleetCollector(Collector):
    """Reads the counters when metrics are requested. The sums have vLLM's names; see `gateway.metrics`."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        running = GaugeMetricFamily("cato_replica_calls_running", "Calls in the running batch.", labels=["replica"])
        waiting = GaugeMetricFamily("cato_replica_calls_waiting", "Calls that are waiting.", labels=["replica"])
        usage = GaugeMetricFamily("cato_replica_kv_cache_usage", "KV cache in use, 0 to 1.", labels=["replica"])
        tokens = CounterMetricFamily("cato_replica_tokens_computed", "Prefill and decode tokens.", labels=["replica"])
        fleet = self._members.fleet
        views = fleet.replicas
        for name, view in views.items():
            stats = view.stats
            running.add_metric([name], stats.calls_running)
            waiting.add_metric([name], stats.calls_waiting)
            usage.add_metric([name], stats.kv_cache_usage)
            tokens.add_metric([name], stats.tokens_computed)
        yield from (running, waiting, usage, tokens)
        yield GaugeMetricFamily("cato_replicas", "Replicas that take calls.", len(views))
        yield GaugeMetricFamily("cato_replicas_wanted", "Replicas that there should be.", fleet.wanted)
        yield CounterMetricFamily(
            "cato_moved_calls", "Calls that went on elsewhere as their replica was lost.", fleet.moved
        )
        yield CounterMetricFamily(
            "cato_hedged_calls", "Calls that were sent to a second replica as theirs was silent.", fleet.hedged
        )
