"""The command ``cato-lsp models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cato_lsp.models.catalog import resolve_model
from cato_lsp.models.local import cache_folder, local_model, local_models
from cato_lsp.models.machine import MB, this_machine
from cato_lsp.models.pull import PullError, pull

app = typer.Typer(help="The code models on this machine, and how to get more.")


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    folders: Annotated[list[Path] | None, typer.Option("--in", help="Also look in this folder.")] = None,
) -> None:
    """List the code models on this machine, and the one that `model = "auto"` takes."""
    if context.invoked_subcommand is not None:
        return
    machine = this_machine()
    found = list(local_models(folders=folders or ()))
    choice = resolve_model("auto")
    table = Table("model", "weights", "fits", "folder")
    for model in found:
        fits = "yes" if model.weights_bytes <= machine.room else "no"
        style = "bold" if model.path == choice.path else None
        row = (model.name, f"{model.weights_bytes / MB:,.0f} MB", fits, str(model.path))
        table.add_row(*map(escape, row), style=style)
    console = Console()
    console.print(table)
    console.print(f"`auto` takes [bold]{escape(choice.name)}[/bold]: {escape(choice.why)}.", soft_wrap=True)
    console.print(
        f"On {machine} weights of up to {machine.room // MB:,} MB answer quickly; `cato-lsp models pull NAME` "
        f"downloads a model to {escape(str(cache_folder()))}.",
        soft_wrap=True,
    )


@app.command("pull")
def pull_command(
    name: Annotated[str, typer.Argument(help="Hugging Face name, for example Qwen/Qwen2.5-Coder-1.5B.")],
) -> None:
    """Download a model from the Hugging Face hub."""
    try:
        path = pull(name)
    except PullError as error:
        Console(stderr=True).print(f"[red]{escape(str(error))}[/red]", soft_wrap=True)
        raise typer.Exit(1) from error
    Console().print(f"{escape(name)} is at {escape(str(path))}. {escape(_use(name, path))}", soft_wrap=True)


def _use(name: str, path: Path) -> str:
    """How a person comes to use a model that was downloaded."""
    machine, setting = this_machine(), f'`model = "{name}"`'
    model = local_model(name, path)
    if model is None:
        return f"It has no fill-in-the-middle tokens: with {setting} it completes without what follows the cursor."
    if model.weights_bytes > machine.room:
        return (
            f"Its weights of {model.weights_bytes // MB:,} MB are much for {machine}; {setting} uses it all the same."
        )
    auto = resolve_model("auto")
    if auto.path == path:
        return "It is used from now on, unless `model` is set to another one."
    return f"Use it with {setting}; `auto` takes {auto.name}."
