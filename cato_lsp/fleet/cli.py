"""The commands of a fleet on one machine: `up`, `status` and `down`. A cluster is run by Ray's own commands."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import platformdirs
import psutil
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
    from cato_lsp.fleet.settings import FleetSettings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Several engines behind one address, on Ray.")

STATUS_EVERY = 1.0
"""Seconds between two updates of what `status` shows."""
STOP_TIMEOUT = 60.0
"""Seconds that `down` waits."""


@app.command()
def up(
    replicas: Annotated[int, typer.Option(min=1, help="Number of engines.")] = 1,
    max_replicas: Annotated[
        int | None,
        typer.Option(min=1, help="Start up to this number when deadlines are missed.", show_default=False),
    ] = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8765,
    model: ModelOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    insecure: InsecureOption = False,
    keys: KeysOption = None,
) -> None:
    """Run a fleet on this machine until Ctrl-C. Users need keys: see `cato-lsp keys`."""
    try:
        from cato_lsp.fleet.local import local_fleet
        from cato_lsp.fleet.settings import FleetSettings
    except ImportError as error:
        _fail(f"{error.name} is not installed: `pip install cato-lsp[fleet]`.")
    from cato_lsp.config import Layer, load_settings, read_settings_files, settings_files

    layers, problems = read_settings_files(settings_files())
    settings, more = load_settings([*layers, Layer("command line", {"model": model})])
    for problem in [*problems, *more]:
        typer.echo(str(problem), err=True)
    if max_replicas is not None and max_replicas < replicas:
        _fail(f"--max-replicas {max_replicas} is less than --replicas {replicas}.")
    fleet = FleetSettings(
        model=settings.model,
        engine=settings.engine,
        replicas=replicas,
        max_replicas=max_replicas,
        host=host,
        port=port,
        tls_cert=tls_cert,
        tls_key=tls_key,
        insecure=insecure,
        keys=keys,
    )
    _check(fleet)
    stop = threading.Event()
    # Also ends what has been started so far.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    typer.echo(f"Starting Ray and {replicas} engines. This takes a minute.", err=True)
    try:
        with local_fleet(fleet) as running:

            def end(_number: int, _frame: object) -> None:
                stop.set()

            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, end)
            url = f"{'wss' if tls_cert else 'ws'}://{host}:{port}"
            typer.echo(f"{replicas} engines serve {settings.model} at {url}. Logs: {running.logs}", err=True)
            while True:
                _write_status({"pid": os.getpid(), "url": url, "logs": str(running.logs), **running.status()})
                if stop.wait(STATUS_EVERY):
                    break
            typer.echo("Stopping", err=True)
    except RuntimeError as error:
        _fail(f"The fleet could not start: {error}")
    finally:
        _status_file().unlink(missing_ok=True)


@app.command()
def status() -> None:
    """Show the fleet of this machine. `cato-lsp top` shows users, calls and deadlines."""
    seen = _running()
    if seen is None:
        _fail("No fleet is running. Start one with `cato-lsp fleet up`.")
    typer.echo(f"{seen['url']}\tprocess {seen['pid']}\tlogs in {seen['logs']}")
    for name, states in seen["deployments"].items():
        typer.echo(f"{name}\t" + ", ".join(f"{count} {state.lower()}" for state, count in states.items()))
    if (fleet := seen["fleet"]) is not None:
        from rich.console import Console

        from cato_lsp.gateway.top import fleet_table

        Console().print(fleet_table(fleet))


@app.command()
def down() -> None:
    """Stop the fleet of this machine. Running calls fail."""
    seen = _running()
    if seen is None:
        typer.echo("No fleet is running.", err=True)
        return
    process = psutil.Process(seen["pid"])
    process.terminate()
    end = time.monotonic() + STOP_TIMEOUT
    while _running() is not None:
        if time.monotonic() > end:
            _fail(f"It is still stopping. Process {seen['pid']} can be ended by hand.")
        time.sleep(0.1)
    typer.echo("The fleet has stopped.")


def _check(fleet: FleetSettings) -> None:
    """End the command if the fleet could not start, before Ray is started."""
    from cato_lsp.engine.api import EngineError
    from cato_lsp.engine.model_folder import inspect_model_folder
    from cato_lsp.gateway.keys import KeyFile, KeyFileError
    from cato_lsp.gateway.server import RefusedError, check_exposure

    if (seen := _running()) is not None:
        _fail(f"A fleet is running at {seen['url']}. Stop it with `cato-lsp fleet down`.")
    try:
        options = fleet.serve_options
        check_exposure(options)
        inspect_model_folder(options.launch.model)
        _check_cpus(fleet)
        keys = KeyFile(options.keys)
        keys.reload()
        if not keys.keys():
            _fail("Nobody has a key yet. Make one with `cato-lsp keys add NAME`.")
        socket.create_server((options.host, options.port)).close()
    except EngineError as error:
        _fail(f"{error} {error.remedy}")
    except (RefusedError, KeyFileError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"Cannot listen at {fleet.host}:{fleet.port}: {error.strerror}. Use --port.")


def _check_cpus(fleet: FleetSettings) -> None:
    """End the command if the engines would share CPUs, which makes all of them slow."""
    from cato_lsp.engine.launch import is_cpu_build

    threads = fleet.launch.cpu_threads
    needed, here = fleet.most_replicas * threads, os.cpu_count() or 1
    if is_cpu_build() and needed > here:
        _fail(
            f"{fleet.most_replicas} engines of {threads} threads need {needed} CPUs, and this machine has {here}.\n"
            "Use fewer --replicas, or set `engine.threads` to less in cato.toml."
        )


def _status_file() -> Path:
    return platformdirs.user_state_path("cato-lsp", appauthor=False) / "fleet.json"


def _write_status(content: dict[str, Any]) -> None:
    file = _status_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    made = file.with_suffix(".new")
    made.write_text(json.dumps({**content, "started": psutil.Process().create_time()}), encoding="utf-8")
    os.replace(made, file)


def _running() -> dict[str, Any] | None:
    """What the running fleet has written; ``None`` without one."""
    try:
        seen = cast("dict[str, Any]", json.loads(_status_file().read_text(encoding="utf-8")))
        # A later process may have the same id.
        return seen if psutil.Process(seen["pid"]).create_time() == seen["started"] else None
    except (OSError, ValueError, KeyError, psutil.Error):
        return None


def _fail(message: str) -> NoReturn:
    typer.echo(message.strip(), err=True)
    raise typer.Exit(1)
