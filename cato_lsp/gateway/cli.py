"""The commands of a server: `serve`, `keys` and `top`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from cato_lsp.gateway.cli_options import (
    HostOption,
    InsecureOption,
    KeysOption,
    ModelOption,
    PortOption,
    TlsCertOption,
    TlsKeyOption,
)

if TYPE_CHECKING:
    from cato_lsp.gateway.keys import KeyFile

app = typer.Typer(add_completion=False)
keys_app = typer.Typer(add_completion=False, no_args_is_help=True, help="The keys of a server's users.")
app.add_typer(keys_app, name="keys")


@app.command()
def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8765,
    model: ModelOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    insecure: InsecureOption = False,
    keys: KeysOption = None,
    max_calls: Annotated[int, typer.Option(min=1, help="Calls in flight per user.")] = 32,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens in flight per user.")] = 200_000,
    max_rate: Annotated[float, typer.Option(min=0.1, help="Calls per second per user.")] = 30.0,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="Log level. The log goes to standard error.")
    ] = "info",
) -> None:
    """Serve one engine to a team. Users need keys: see `cato-lsp keys`."""
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    try:
        import anyio

        from cato_lsp.gateway.server import RefusedError, ServeOptions, run_server
    except ImportError as error:
        _fail(f"{error.name} is not installed: `pip install cato-lsp[server]`.")

    from cato_lsp.config import Layer, load_settings, read_settings_files, settings_files
    from cato_lsp.engine.api import EngineError
    from cato_lsp.engine.launch import Launch
    from cato_lsp.gateway.keys import KeyFileError, default_key_file
    from cato_lsp.gateway.limits import Limits
    from cato_lsp.models.catalog import resolve_model

    layers, problems = read_settings_files(settings_files())
    settings, more = load_settings([*layers, Layer("command line", {"model": model})])
    for problem in [*problems, *more]:
        logging.getLogger(__name__).warning("%s", problem)
    try:
        choice = resolve_model(settings.model)
        options = ServeOptions(
            Launch(choice.path, settings.engine, choice.name),
            keys or default_key_file(),
            host,
            port,
            tls_cert,
            tls_key,
            insecure,
            Limits(calls=max_calls, tokens=max_tokens, rate=max_rate),
        )
        anyio.run(run_server, options)
    except EngineError as error:
        _fail(f"{error} {error.remedy}")
    except (RefusedError, KeyFileError) as error:
        _fail(str(error))
    logging.shutdown()
    # The engine's thread may still be loading the model, and cannot be interrupted.
    os._exit(0)


@app.command()
def top(
    url: Annotated[str, typer.Argument(help="The server: wss://HOST:PORT.")] = "ws://127.0.0.1:8765",
    once: Annotated[bool, typer.Option("--once", help="Print once and exit.")] = False,
) -> None:
    """Watch a server: engine, users, deadlines of the last minute, and what runs now."""
    from cato_lsp.engine.api import EngineError
    from cato_lsp.gateway.top import watch

    try:
        watch(url, once=once)
    except EngineError as error:
        _fail(f"{error} {error.remedy}")
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@keys_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Name of the user, shown in metrics and in `cato-lsp top`.")],
    team: Annotated[str, typer.Option(help="Members of a team share prompt caches.")] = "default",
    keys: KeysOption = None,
) -> None:
    """Make a key for a user and print it, on a line of its own. It cannot be shown again."""
    from cato_lsp.gateway.keys import KeyFileError

    try:
        key = _key_file(keys).add(name, team)
    except KeyFileError as error:
        _fail(str(error))
    typer.echo(f"The key of {name} follows. It cannot be shown again. To store it on a laptop, run", err=True)
    typer.echo("`cato-lsp login wss://HOST:PORT`.", err=True)
    typer.echo(key)


@keys_app.command("list")
def list_keys(keys: KeysOption = None) -> None:
    """List the users who have a key."""
    from cato_lsp.gateway.keys import KeyFileError

    file = _key_file(keys)
    try:
        file.reload()
    except KeyFileError as error:
        _fail(str(error))
    found = file.keys()
    for key in found:
        typer.echo(f"{key.name}\t{key.team}\t{key.created}")
    if not found:
        typer.echo("Nobody has a key. Make one with `cato-lsp keys add NAME`.", err=True)


@keys_app.command("revoke")
def revoke_key(
    name: Annotated[str, typer.Argument(help="Name of the user.")],
    keys: KeysOption = None,
) -> None:
    """Revoke a user's key. Open connections are closed within two seconds."""
    from cato_lsp.gateway.keys import KeyFileError

    try:
        _key_file(keys).revoke(name)
    except KeyFileError as error:
        _fail(str(error))
    typer.echo(f"The key of {name} is revoked.")


def _key_file(path: Path | None) -> KeyFile:
    from cato_lsp.gateway.keys import KeyFile, default_key_file

    return KeyFile(path or default_key_file())


def _fail(message: str) -> NoReturn:
    typer.echo(message.strip(), err=True)
    raise typer.Exit(1)
