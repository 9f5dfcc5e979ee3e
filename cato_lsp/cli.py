"""The command line. Bare ``cato-lsp`` is the language server on stdin and stdout."""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer
from typer.core import TyperGroup

from cato_lsp import __version__

if TYPE_CHECKING:
    from cato_lsp.config import SettingProblem, Settings

LogLevel = Literal["debug", "info", "warning", "error"]


class _Mounted(NamedTuple):
    """A command defined in another package; its module is imported on first use."""

    module: str
    """Exports ``app``, a `typer.Typer`."""
    command: str | None
    """The command of that app; ``None``: all its commands, as a group."""


_MOUNTED = {
    "simulate": _Mounted("cato_lsp.bench.cli", "simulate"),
    "bench": _Mounted("cato_lsp.bench.cli", "bench"),
    "models": _Mounted("cato_lsp.models.cli", None),
    "serve": _Mounted("cato_lsp.gateway.cli", "serve"),
    "keys": _Mounted("cato_lsp.gateway.cli", "keys"),
    "top": _Mounted("cato_lsp.gateway.cli", "top"),
    "fleet": _Mounted("cato_lsp.fleet.cli", None),
    "login": _Mounted("cato_lsp.remote.cli", "login"),
}


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


class _Commands(TyperGroup):
    """The commands of this file and the mounted ones, which add nothing to the start-up time."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *(name for name, at in _MOUNTED.items() if _is_there(at.module))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        at = _MOUNTED.get(cmd_name)
        if at is None or not _is_there(at.module):
            return super().get_command(ctx, cmd_name)
        command: Any = typer.main.get_group(importlib.import_module(at.module).app)
        return command if at.command is None else command.get_command(ctx, at.command)


app = typer.Typer(cls=_Commands, add_completion=False, no_args_is_help=False, pretty_exceptions_enable=False)


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``, ``[IPV6]:PORT`` or ``:PORT`` (this machine only)."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise typer.BadParameter(f"{text!r} is not HOST:PORT, for example 127.0.0.1:2087")
    return Address(host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cato-lsp {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    tcp: Annotated[
        Address | None,
        typer.Option(
            parser=parse_address,
            metavar="HOST:PORT",
            help="Listen on a TCP socket without authentication. For debugging only.",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Use a team's server, wss://HOST:PORT.", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model folder or name. Overrides the settings.", show_default=False)
    ] = None,
    log_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the log to this file instead of standard error.")
    ] = None,
    log_level: Annotated[
        LogLevel | None, typer.Option(help="Log level. Overrides the settings.", show_default=False)
    ] = None,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="Serve this editor by a process and an engine of its own.")
    ] = False,
    listener: Annotated[int | None, typer.Option(hidden=True)] = None,
    stdio: Annotated[
        bool,
        typer.Option("--stdio", help="Use stdin and stdout. This is the default; editors pass the flag by convention."),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The coding assistant that never makes you wait: a language server with its own vLLM engine.

    Without a command, serves an editor on stdin and stdout.
    """
    del version
    if context.invoked_subcommand is not None:
        return
    if tcp and stdio:
        raise typer.BadParameter("--tcp cannot be combined with --stdio")
    _configure_logging(log_level, log_file)
    if model and Path(model).is_dir():
        model = str(Path(model).absolute())
    # A server that windows share has one engine, chosen by the settings.
    if not (standalone or tcp or engine or listener is not None):
        _serve_shared(model, log_level)
    from cato_lsp.config import Layer
    from cato_lsp.lsp.server import run_stdio, run_tcp

    overrides = Layer("command line", {"model": model, "log_level": log_level, "engine": {"url": engine}})
    if listener is not None:
        from cato_lsp.lsp.shared_server import run_shared

        run_shared(listener)
        _leave(0)
    elif tcp:
        run_tcp(tcp.host, tcp.port, overrides)
    else:
        _leave(run_stdio(overrides))


@app.command()
def setup(
    engine: Annotated[
        Literal["auto", "cpu", "gpu"],
        typer.Option(help="Which engine to install; auto: the one that fits this machine."),
    ] = "auto",
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Start the engine afterwards and complete a line.")
    ] = True,
) -> None:
    """Install the engine (vLLM) that fits this machine, and check it. Run again to repair or update."""
    from cato_lsp.install.command import run_setup

    raise typer.Exit(run_setup(None if engine == "auto" else engine, check=check))


@app.command()
def doctor(
    model: Annotated[str | None, typer.Option(help="Model folder or name to check.")] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also start the engine and complete a few tokens. Takes up to a minute.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check this machine: Python, vLLM, GPU or CPU, memory, model files, settings, editors."""
    from cato_lsp.doctor import run_doctor

    raise typer.Exit(run_doctor(model=model, deep=deep, as_json=as_json))


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
) -> None:
    """Status and deadline attainment of your running servers."""
    from cato_lsp.lsp.status_socket import ask_servers
    from cato_lsp.status_view import show_status

    found = ask_servers()
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        show_status(found)
    raise typer.Exit(0 if found else 1)


@app.command()
def stop() -> None:
    """Stop your shared server. No text is lost: the editors own their documents."""
    from cato_lsp.lsp.shared_socket import NotStoppedError, stop_servers

    try:
        stopped = stop_servers()
    except (NotStoppedError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    for server in stopped:
        windows = "1 window was" if server.windows == 1 else f"{server.windows} windows were"
        typer.echo(f"Stopped the shared server (process {server.pid}); {windows} open.")
    if not stopped:
        typer.echo("No shared server is running.")
        raise typer.Exit(1)


@app.command()
def settings(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference of all settings as Markdown.")
    ] = False,
) -> None:
    """Show the settings that apply in this folder, and report invalid ones."""
    from cato_lsp.config import load_settings, read_settings_files, settings_files, settings_markdown

    if markdown:
        sys.stdout.write(settings_markdown())
        return
    layers, problems = read_settings_files(settings_files([Path.cwd()]))
    found, more = load_settings(layers)
    _show_settings(found, [layer.source for layer in layers], problems + more)
    raise typer.Exit(1 if problems or more else 0)


def _show_settings(found: Settings, sources: list[str], problems: list[SettingProblem]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cato_lsp.config import setting_fields

    console = Console()
    table = Table("setting", "value", "default", "allowed", title=f"from {', '.join(sources) or 'defaults'}")
    for field in setting_fields():
        value: Any = found
        for name in field.key.split("."):
            value = getattr(value, name)
        shown = ["unset" if each is None else str(each) for each in (value, field.default)]
        style = None if value == field.default else "bold"
        table.add_row(field.key, *(escape(text) for text in shown), escape(field.allowed), style=style)
    console.print(table)
    for problem in problems:
        console.print(f"[red]wrong[/red] {escape(str(problem))}", soft_wrap=True)


def _serve_shared(model: str | None, log_level: LogLevel | None) -> None:
    """Connect the editor with the shared server, and exit at the end. Return if there can be no shared server."""
    try:
        from cato_lsp.lsp.shared_client import serve_window
        from cato_lsp.lsp.shared_socket import connect, shared_socket

        path = shared_socket(model)
        connection = connect(path)
    except (ImportError, AttributeError, OSError) as error:  # AttributeError: a system without Unix sockets
        logging.getLogger(__name__).warning("No shared server here, this window has its own: %s", error)
    else:
        _leave(serve_window(path, connection, {"model": model, "log_level": log_level}))


def _leave(code: int) -> None:
    """Exit at once: the engine thread may be loading a model, which cannot be interrupted."""
    logging.shutdown()
    os._exit(code)


def _configure_logging(level: LogLevel | None, file: Path | None) -> None:
    """Send the log to `file` or to stderr, never to stdout, which belongs to the protocol."""
    handler = logging.FileHandler(file, encoding="utf-8") if file else logging.StreamHandler(sys.stderr)
    logging.basicConfig(
        level=(level or "info").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[handler],
    )


def main() -> None:
    """Run the console script ``cato-lsp``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a locale that lacks a character must not end a command
            stream.reconfigure(errors="replace")
    app(prog_name="cato-lsp")
