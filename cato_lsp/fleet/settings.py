"""The settings of a fleet: arguments of `serve run cato_lsp.fleet:app` and of a Serve config file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cato_lsp.config import EngineSettings
from cato_lsp.engine.launch import Launch, is_cpu_build
from cato_lsp.fleet.scaling import Scaler
from cato_lsp.gateway.keys import default_key_file
from cato_lsp.gateway.limits import Limits
from cato_lsp.gateway.server import ServeOptions
from cato_lsp.models.catalog import resolve_model


class FleetSettings(BaseModel):
    """What a fleet is made of. A file must be at the same path on each node that reads it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "auto"
    """Model folder or name; on gateways, only its small files are read."""
    engine: EngineSettings = EngineSettings()
    replicas: int = Field(default=1, ge=1)
    """Engines; with ``max_replicas``, at least."""
    max_replicas: int | None = Field(default=None, ge=1)
    """Autoscale up to this number of engines."""
    spare: int = Field(default=1, ge=0)
    """With ``max_replicas``: engines beyond those that meet the deadlines. They are there when load grows."""
    gateways: int = Field(default=1, ge=1)
    """Gateways, at most one per node: each listens at the same port."""
    host: str = "127.0.0.1"
    """Address that gateways listen at."""
    port: int = Field(default=8765, ge=1, le=65535)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False
    """Listen on a network without TLS, if something else encrypts the connection."""
    keys: Path | None = None
    """File with the users' keys; default: in the settings of the user that runs Ray."""
    limits: dict[str, float] = {}
    """Limits per user that differ from the defaults: calls, tokens, prompt, rate, connections."""
    gateway_resources: dict[str, float] = {}
    """Ray resources that place the gateways on nodes that laptops can reach, such as ``{"gateway": 1}``."""

    @property
    def launch(self) -> Launch:
        """How a replica starts its engine.

        Raises:
            EngineError: this node does not have the model.
        """
        choice = resolve_model(self.model)
        return Launch(choice.path, self.engine, choice.name)

    @property
    def serve_options(self) -> ServeOptions:
        """How a gateway listens.

        Raises:
            EngineError: this node does not have the model.
        """
        numbers: dict[str, Any] = self.limits
        return ServeOptions(
            self.launch,
            self.keys or default_key_file(),
            self.host,
            self.port,
            self.tls_cert,
            self.tls_key,
            self.insecure,
            Limits(**numbers),
        )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError(f"max_replicas ({self.max_replicas}) is less than replicas ({self.replicas}).")
        return self

    @property
    def most_replicas(self) -> int:
        """The largest number of engines."""
        return self.max_replicas or self.replicas

    @property
    def scaler(self) -> Scaler | None:
        """What decides the number of engines; ``None`` if it is fixed."""
        if self.max_replicas is None:
            return None
        return Scaler(self.replicas, self.max_replicas, spare=self.spare)

    @property
    def engine_resources(self) -> dict[str, float]:
        """What Ray reserves for one engine: a GPU, or as many CPUs as it has threads."""
        if is_cpu_build():
            return {"num_cpus": self.launch.cpu_threads}
        return {"num_cpus": 1, "num_gpus": 1}
