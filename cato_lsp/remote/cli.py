"""The command `login`, which stores a key."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def login(
    url: Annotated[str, typer.Argument(help="The server: wss://HOST:PORT.")],
) -> None:
    """Check your key for a server and store it in the system keyring, or in a private file where there is none.

    Asks for the key, or reads it from standard input if that is no terminal.
    """
    import anyio

    from cato_lsp.engine.api import EngineError
    from cato_lsp.remote.key import store_key
    from cato_lsp.remote.link import Link
    from cato_lsp.remote.refusals import check_url

    async def try_it(key: str) -> str:
        link = await Link.open(url, key)
        await link.close()
        return f"{link.welcome.user}, served by {link.welcome.model}"

    try:
        check_url(url)
        key = typer.prompt("Key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
        key = key.strip()
        who = anyio.run(try_it, key)
        place = store_key(url, key)
    except EngineError as error:
        typer.echo(f"{error} {error.remedy}".strip(), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"You are {who}. The key is stored in {place}.")
    typer.echo(f'Set `engine.url = "{url}"` in your own cato.toml, or start `cato-lsp --engine {url}`.')
