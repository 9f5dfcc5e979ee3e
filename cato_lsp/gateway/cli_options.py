"""Options that the commands share which listen at a port: `serve` and `fleet up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HostOption = Annotated[str, typer.Option(help="Address to listen at.")]
PortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")]
ModelOption = Annotated[
    str | None, typer.Option(help="Model folder or name. Overrides the settings.", show_default=False)
]
TlsCertOption = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Certificate chain, PEM.", show_default=False)
]
TlsKeyOption = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Its private key, PEM.", show_default=False)
]
InsecureOption = Annotated[
    bool,
    typer.Option("--insecure", help="Listen on a network without TLS, if something else encrypts the connection."),
]
KeysOption = Annotated[
    Path | None, typer.Option("--keys", dir_okay=False, help="File with the keys; default: in the user's settings.")
]
