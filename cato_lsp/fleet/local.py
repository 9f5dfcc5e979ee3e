"""A fleet on this machine: Ray is started for it, and ends with it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator
from pathlib import Path

from cato_lsp.fleet.application import app
from cato_lsp.fleet.ray_api import ray, serve
from cato_lsp.fleet.settings import FleetSettings

LOOPBACK = "127.0.0.1"
OBJECT_STORE = 100 << 20
"""Bytes of Ray's shared memory. Calls do not pass it."""


@contextlib.contextmanager
def local_fleet(settings: FleetSettings) -> Generator[Path]:
    """Run a fleet within the context; yields the folder with Ray's logs, once all replicas serve.

    Raises:
        RuntimeError: a replica could not start; Ray's message says why.
    """
    most = max(settings.replicas, settings.max_replicas or 0)
    # Unix sockets are in it, whose paths must be short.
    folder = Path(tempfile.mkdtemp(prefix="cato-ray-"))
    context = ray.init(
        num_cpus=int(most * settings.engine_resources["num_cpus"]) + 1,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE,
        log_to_driver=False,
        logging_level="ERROR",
        _node_ip_address=LOOPBACK,
        _temp_dir=str(folder),
    )
    try:
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        serve.run(app(settings), route_prefix=None)
        yield Path(context.address_info["session_dir"]) / "logs"
    finally:
        serve.shutdown()
        ray.shutdown()
