"""The output of ``cato-lsp status``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_PHASES = {"ready": "green", "loading": "yellow", "failed": "bold red", "idle": "dim"}
_NAMES = {
    "completion": "Complete",
    "generation": "Generate",
    "summarization": "Summarize",
    "translation": "Translate",
    "warmup": "Prefetch",
}
_TTFT_KINDS = ("completion", "generation")
"""Kinds with a TTFT deadline; the others have an E2E deadline."""
_ENDINGS = ("empty", "superseded", "cancelled", "refused", "failed", "unavailable")


def show_status(servers: Sequence[Mapping[str, Any]], console: Console | None = None) -> None:
    """Print the status of each server, as returned by ``cato/status``."""
    console = console or Console(highlight=False)
    if not servers:
        console.print(
            "No server is running. Your editor starts it; run [bold]cato-lsp doctor[/] to check this machine."
        )
    for server in servers:
        console.print(_heading(server), soft_wrap=True)
        if server["kinds"]:
            console.print(_table(server["kinds"]))
        else:
            console.print("  No requests yet.\n", style="dim")


def _heading(server: Mapping[str, Any]) -> Text:
    engine, stats = server["engine"], server["stats"]
    style = _PHASES.get(engine["phase"], "")
    live = server["live"]
    head = Text.assemble(("● ", style), (engine["phase"], f"bold {style}"), "  ", (engine["message"], "bold"))
    if engine["remedy"]:
        head.append(f"\n  → {engine['remedy']}", style="bold")
    facts = [
        f"process {server['pid']}",
        _bytes(server["memory"]),
        "no tasks running" if not live else f"{live} {'task' if live == 1 else 'tasks'} running",
        f"{stats['tokens_computed']:,} tokens computed, {stats['tokens_wasted']:,} of them after a cancel",
    ]
    head.append("\n  " + " · ".join(facts), style="dim")
    if (machine := server.get("machine")) is not None:
        head.append(f"\n  {_machine(machine)}", style="dim")
    return head


def _machine(machine: Mapping[str, Any]) -> str:
    used, total = (_bytes(machine[f"memory_{part}_bytes"]) for part in ("used", "total"))
    facts = [f"{machine['device']} {machine['utilization']:.0%} busy", f"{used} of {total}"]
    facts.append(f"KV cache {machine['kv_cache_usage']:.0%}")
    if machine["power_watts"] is not None:
        facts.append(f"{machine['power_watts']:.0f} W")
    return " · ".join(facts)


def _table(kinds: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), caption_justify="left")
    table.caption = "P50 and P95 of recent tasks. The deadline applies to the column in bold."
    table.add_column("  task", no_wrap=True)
    for name in ("answered", "deadlines met", "TTFT P50", "P95", "E2E P50", "P95", "cached"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("other outcomes")
    for kind, each in kinds.items():
        first = kind in _TTFT_KINDS
        ttft, e2e = ("bold", "") if first else ("", "bold")
        table.add_row(
            f"  {_NAMES.get(kind, kind)}",
            str(each["outcomes"].get("answered", 0)),
            _attainment(each["deadlines_met"], each["deadlines"]),
            *(Text(_seconds(each[name]), style=ttft) for name in ("ttft_p50", "ttft_p95")),
            *(Text(_seconds(each[name]), style=e2e) for name in ("e2e_p50", "e2e_p95")),
            f"{each['cached_tokens'] / each['prompt_tokens']:.0%}" if each["prompt_tokens"] else "–",
            escape(_endings(each)),
        )
    return table


def _attainment(met: int, deadlines: int) -> Text:
    if not deadlines:
        return Text("–")
    share = met / deadlines
    style = "green" if share >= 0.95 else "yellow" if share >= 0.8 else "red"
    return Text(f"{met} of {deadlines}  {share:4.0%}", style=style)


def _endings(each: Mapping[str, Any]) -> str:
    ended = [f"{each['outcomes'][name]} {name}" for name in _ENDINGS if each["outcomes"].get(name)]
    if each["without_call"]:
        ended.insert(0, f"{each['without_call']} without a model call")
    return ", ".join(ended)


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _bytes(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
