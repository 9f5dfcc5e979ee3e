"""The output of `cato-lsp top`: engine, users, deadlines and running calls of a server."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, cast
from urllib.parse import urlsplit

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cato_lsp.engine.api import EngineError
from cato_lsp.gateway.deadlines import Outcome
from cato_lsp.remote.key import find_key
from cato_lsp.remote.refusals import NEW_KEY, check_url, explain

PATIENCE = 5.0
"""Seconds to wait for the server's response."""
EVERY = 1.0
"""Seconds between two requests."""


def ask(url: str, key: str | None) -> dict[str, Any]:
    """Request the overview of a server.

    Raises:
        EngineError: it does not answer; the message says why.
    """
    check_url(url)
    parts = urlsplit(url)
    address = f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}/overview"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {key or ''}"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE, context=ssl.create_default_context()) as answer:
            return cast("dict[str, Any]", json.load(answer))
    except urllib.error.HTTPError as error:
        if error.code == 401:
            raise EngineError(f"{url} does not know your key.", NEW_KEY.format(url=url)) from error
        raise EngineError(f"{url} answers with HTTP status {error.code}.", "Check the address.") from error
    except urllib.error.URLError as error:
        raise explain(error.reason if isinstance(error.reason, Exception) else error, url) from error
    except (OSError, HTTPException, ValueError) as error:
        raise explain(error, url) from error


def watch(url: str, *, once: bool = False) -> None:
    """Show a server until interrupted. If it does not answer any more, show why until it does.

    :param once: print it and return.

    Raises:
        EngineError: it does not answer at the start.
    """
    key = find_key(url)
    with Live(render(ask(url, key)), auto_refresh=False, screen=not once) as live:
        while not once:
            time.sleep(EVERY)
            try:
                shown = render(ask(url, key))
            except EngineError as error:
                shown = Text(f"{error} {error.remedy}\nAsked again every second.")
            live.update(shown, refresh=True)


def render(seen: Mapping[str, Any]) -> RenderableType:
    """Format an overview for the terminal."""
    stats = seen["stats"]
    head = Text.assemble(
        (str(seen["model"] or "no model"), "bold"),
        f"  {seen['state']}\n{seen['connections']} connections, {stats['calls_running']} calls run, "
        f"{stats['calls_waiting']} wait, KV cache {stats['kv_cache_usage']:.0%}, "
        f"{stats['tokens_wasted']:,} of {stats['tokens_computed']:,} tokens after a cancel",
    )
    deadlines = Table("kind", *(each.value for each in Outcome), "attainment", title="Deadlines, last minute")
    for kind, counts in seen["kinds"].items():
        met, missed = counts.get("met", 0), counts.get("missed", 0)
        share = f"{met / (met + missed):.0%}" if met + missed else "-"
        deadlines.add_row(kind, *(str(counts.get(each.value, 0)) for each in Outcome), share)
    users = Table("user", "calls", "tokens", title="Users, last minute")
    for name, counts in sorted(seen["users"].items(), key=lambda item: -item[1]["tokens"]):
        users.add_row(escape(name), str(counts["calls"]), f"{counts['tokens']:,}")
    calls = Table("user", "kind", "prompt", "answered", "age", "slack", title="Running now, most urgent first")
    for call in seen["calls"][:20]:
        slack = call["slack"]
        left = Text("none") if slack is None else Text(f"{slack:.2f} s", style="red" if slack < 0 else "")
        sizes = str(call["prompt"]), str(call["tokens"])
        calls.add_row(escape(call["user"]), call["kind"], *sizes, f"{call['age']:.2f} s", left)
    fleet = seen.get("fleet")
    return Group(head, *([fleet_table(fleet)] if fleet is not None else []), deadlines, users, calls)


def fleet_table(fleet: Mapping[str, Any]) -> RenderableType:
    """Format the replicas of a `FleetView`."""
    title = f"{len(fleet['replicas'])} of {fleet['wanted']} replicas, {fleet['moved']} calls moved so far"
    table = Table("replica", "address", "run", "wait", "KV cache", "tokens", "step", title=title)
    for name, each in sorted(fleet["replicas"].items()):
        stats = each["stats"]
        numbers = str(stats["calls_running"]), str(stats["calls_waiting"]), f"{stats['kv_cache_usage']:.0%}"
        step = f"{1000 * each['step_seconds']:.0f} ms"
        table.add_row(escape(name), escape(each["address"]), *numbers, f"{stats['tokens_computed']:,}", step)
    return table
