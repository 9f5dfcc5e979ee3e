"""The Ray Serve application: `serve run cato_lsp.fleet:app`, or the import path of a Serve config file."""

from __future__ import annotations

from typing import Any

from cato_lsp.fleet.deployments import Engine, GatewayDeployment
from cato_lsp.fleet.settings import FleetSettings

QUIET = {"log_level": "WARNING", "enable_access_log": False}
"""Offers come twice a second; they are no news."""


def app(args: FleetSettings) -> Any:
    """Build the Serve `Application`."""
    engine: Any = Engine.options(
        num_replicas=args.replicas, ray_actor_options=args.engine_resources, logging_config=QUIET
    ).bind(args)
    gateway: Any = GatewayDeployment.options(
        num_replicas=args.gateways,
        ray_actor_options={"num_cpus": 0, "resources": args.gateway_resources},
        logging_config=QUIET,
    )
    return gateway.bind(args, engine)
