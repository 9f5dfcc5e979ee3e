"""The Ray Serve application: `serve run cato_lsp.fleet:app`, or the import path of a Serve config file."""

from __future__ import annotations

from typing import Any

from cato_lsp.fleet.autoscaling import REPORT_EVERY
from cato_lsp.fleet.deployments import Engine, GatewayDeployment
from cato_lsp.fleet.settings import FleetSettings

QUIET = {"log_level": "WARNING", "enable_access_log": False}
"""Offers come twice a second; they are no news."""


def app(args: FleetSettings | dict[str, Any]) -> Any:
    """Build the Serve `Application`.

    :param args: Ray passes them as a dictionary, as it does not read the type of a builder whose module postpones the
        evaluation of annotations.

    Raises:
        pydantic.ValidationError: they are wrong.
    """
    args = FleetSettings.model_validate(args)
    engine: Any = Engine.options(
        **_number_of_engines(args), ray_actor_options=args.engine_resources, logging_config=QUIET
    ).bind(args)
    gateway: Any = GatewayDeployment.options(
        num_replicas=args.gateways,
        ray_actor_options={"num_cpus": 0, "resources": args.gateway_resources},
        logging_config=QUIET,
    )
    return gateway.bind(args, engine)


def _number_of_engines(args: FleetSettings) -> dict[str, Any]:
    if args.max_replicas is None:
        return {"num_replicas": args.replicas}
    scaling = {
        "min_replicas": args.replicas,
        "max_replicas": args.max_replicas,
        # Averages and delays are the scaler's own.
        "metrics_interval_s": REPORT_EVERY,
        "look_back_period_s": 5 * REPORT_EVERY,
        "upscale_delay_s": 0.0,
        "downscale_delay_s": 0.0,
        "policy": {"policy_function": "cato_lsp.fleet.autoscaling:policy"},
    }
    return {"num_replicas": None, "autoscaling_config": scaling}
