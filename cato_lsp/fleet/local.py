"""A fleet on this machine: Ray is started for it, and ends with it."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

# Read when Ray is imported: it takes the loopback address instead of the network's, as it does on a Mac.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

from cato_lsp.fleet.application import app
from cato_lsp.fleet.ray_api import ray, serve
from cato_lsp.fleet.settings import FleetSettings

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
OBJECT_STORE = 100 << 20
"""Bytes of Ray's shared memory. Calls do not pass it."""
ENDING = 3.0
"""Seconds that Ray's processes have to end."""
PATIENCE = 2.0
"""Seconds that the gateway has to answer what `status` shows."""
NAME = "cato-lsp"
"""The application's name in Ray Serve."""


@dataclass(frozen=True, slots=True)
class LocalFleet:
    """A running fleet."""

    logs: Path

    def status(self) -> dict[str, Any]:
        """Return ``{deployments: {name: {state of a replica: how many}}, fleet}``.

        ``fleet`` has the fields of a `FleetView`; ``None`` while the gateway does not answer.
        """
        deployments = serve.status().applications[NAME].deployments
        states = {name: dict(each.replica_states) for name, each in deployments.items()}
        try:
            fleet = serve.get_deployment_handle("Gateway", NAME).view.remote().result(timeout_s=PATIENCE)
        except Exception as error:  # Ray's errors have no common type.
            logger.debug("The gateway does not answer: %s", error)
            fleet = None
        return {"deployments": states, "fleet": fleet}


@contextlib.contextmanager
def local_fleet(settings: FleetSettings) -> Generator[LocalFleet]:
    """Run a fleet within the context, which is entered when all replicas serve.

    Ray listens on the loopback interface only. Its logs are deleted at the end, but kept after an error.

    Raises:
        RuntimeError: Ray or a replica could not start; Ray's message says why.
    """
    # Unix sockets are in it, whose paths must be short.
    folder = Path(tempfile.mkdtemp(prefix="cato-ray-"))
    try:
        context = _start_ray(settings, folder)
        # Ray has set one that aborts the process and leaves its children.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _check_gpus(settings)
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        serve.run(app(settings), name=NAME, route_prefix=None)
        yield LocalFleet(Path(context.address_info["session_dir"]) / "logs")
    finally:
        children = psutil.Process().children(recursive=True)
        if ray.is_initialized():
            serve.shutdown()
            ray.shutdown()
        # Ray leaves some of its processes if it is interrupted while it starts.
        for each in psutil.wait_procs(children, ENDING)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
    shutil.rmtree(folder, ignore_errors=True)


def _start_ray(settings: FleetSettings, folder: Path) -> Any:
    """Start Ray and return its context.

    Raises:
        RuntimeError: it could not start.
    """
    try:
        return ray.init(
            # Not the cluster that $RAY_ADDRESS or an earlier `ray start` names.
            "local",
            num_cpus=int(settings.most_replicas * settings.engine_resources["num_cpus"]) + 1,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address=LOOPBACK,
            _temp_dir=str(folder),
        )
    except Exception as error:  # Ray raises even a plain `Exception`.
        raise RuntimeError(f"Ray does not start: {error} Logs: {folder}") from error


def _check_gpus(settings: FleetSettings) -> None:
    """Raise an error if Serve would wait for GPUs for ever.

    Raises:
        RuntimeError: there are too few.
    """
    needed = settings.most_replicas * settings.engine_resources.get("num_gpus", 0)
    here = ray.cluster_resources().get("GPU", 0)
    if needed > here:
        raise RuntimeError(f"{needed:g} engines need a GPU each, and this machine has {here:g}. Use fewer --replicas.")
