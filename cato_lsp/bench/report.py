"""Tables and plots of a benchmark."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from cato_lsp.bench.metrics import KINDS
from cato_lsp.bench.result import Run
from cato_lsp.scheduling.slo import TaskKind

TIMELINE_SECONDS = 4.0
NOTHING = "–"
COLORS = {
    TaskKind.COMPLETION: "#d1495b",
    TaskKind.GENERATION: "#edae49",
    TaskKind.SUMMARIZATION: "#00798c",
    TaskKind.TRANSLATION: "#30638e",
    TaskKind.WARMUP: "#999999",
}


def _wasted(figures: dict[str, Any]) -> float | None:
    if not figures.get("cancelled"):
        return None
    return figures["wasted_tokens"] / figures["computed_tokens"]


def _of_machine(figures: dict[str, Any], name: str) -> float | None:
    machine: dict[str, Any] | None = figures.get("machine")
    return None if machine is None else machine[name]


COLUMNS: tuple[tuple[str, Callable[[dict[str, Any]], float | None], str], ...] = (
    ("goodput/s", lambda f: f["goodput_per_s"], "{:.2f}"),
    ("offered/s", lambda f: f.get("offered_per_s"), "{:.2f}"),
    ("compl. met", lambda f: f["kinds"]["completion"]["attained"], "{:.1%}"),
    ("gener. met", lambda f: f["kinds"]["generation"]["attained"], "{:.1%}"),
    ("summ. met", lambda f: f["kinds"]["summarization"]["attained"], "{:.1%}"),
    ("transl. met", lambda f: f["kinds"]["translation"]["attained"], "{:.1%}"),
    ("compl. TTFT P50", lambda f: f["kinds"]["completion"].get("ttft_p50"), "{:.3f}"),
    ("compl. TTFT P90", lambda f: f["kinds"]["completion"].get("ttft_p90"), "{:.3f}"),
    ("compl. TTFT P95", lambda f: f["kinds"]["completion"].get("ttft_p95"), "{:.3f}"),
    ("gener. TTFT P95", lambda f: f["kinds"]["generation"].get("ttft_p95"), "{:.3f}"),
    ("summ. E2E P95", lambda f: f["kinds"]["summarization"].get("e2e_p95"), "{:.2f}"),
    ("transl. E2E P95", lambda f: f["kinds"]["translation"].get("e2e_p95"), "{:.1f}"),
    ("makespan", lambda f: f.get("makespan_s"), "{:.1f}"),
    ("wasted", _wasted, "{:.2%}"),
    ("time in steps", lambda f: f.get("utilization"), "{:.1%}"),
    ("device busy", lambda f: _of_machine(f, "utilization"), "{:.1%}"),
    ("KV cache, peak", lambda f: _of_machine(f, "kv_cache_usage"), "{:.1%}"),
    ("power, W", lambda f: _of_machine(f, "power_watts"), "{:.0f}"),
)


def rows(figures: dict[str, dict[str, Any]]) -> list[list[str]]:
    """One row of cells per policy, under `COLUMNS`."""
    table: list[list[str]] = []
    for name, of_policy in figures.items():
        cells = [name]
        for _, value_of, form in COLUMNS:
            value = value_of(of_policy)
            cells.append(NOTHING if value is None or math.isnan(value) else form.format(value))
        table.append(cells)
    return table


def print_summary(console: Console, title: str, figures: dict[str, dict[str, Any]]) -> None:
    """Print all figures, a column per policy, in as many tables as the width of the terminal needs. Times are seconds.

    Figures that no policy has are left out.
    """
    cells = list(zip(*rows(figures), strict=True))
    shown = [(name, row) for (name, _, _), row in zip(COLUMNS, cells[1:], strict=True) if set(row) != {NOTHING}]
    names = list(figures)

    def table(start: int, end: int) -> Table:
        made = Table("", *names[start:end], title=title, show_edge=False)
        for name, row in shown:
            made.add_row(name, *row[start:end])
        return made

    unlimited = console.options.update(max_width=10_000)
    start = 0
    while start < len(names):
        tables = [table(start, end) for end in range(len(names), start, -1)]
        fits = (each for each in tables if console.measure(each, options=unlimited).maximum <= console.width)
        widest = next(fits, tables[-1])
        console.print(widest)
        start += len(widest.columns) - 1


def html_report(document: dict[str, Any], points: Sequence[dict[str, Any]], runs: Sequence[Run]) -> str:
    """A self-contained HTML page. `points`: the loads that were played; `runs`: the runs of the first load."""
    parts = ["<h1>cato-lsp: scheduling benchmark</h1>", _settings(document)]
    for point in points:
        parts += [f"<h2>Rate {point['rate']:g}</h2>", _html_table(point["policies"])]
    if len(points) > 1:
        parts += ["<h2>Goodput against load</h2>", _goodput_plot(points)]
    parts += ["<h2>Latency distributions</h2>", _latency_plots(runs)]
    parts.append("<h2>Calls in each step</h2>")
    parts.append(f"<p>The busiest {TIMELINE_SECONDS:g} s. A bar is a step; its height, tokens.</p>")
    parts += [_timeline(run) for run in runs]
    style = (
        "body{font:14px system-ui;margin:2em;max-width:90em}table{border-collapse:collapse}"
        "td,th{border:1px solid #ccc;padding:.3em .6em;text-align:right}td:first-child{text-align:left}"
        "svg{max-width:100%;height:auto}"
    )
    return f"<!doctype html><meta charset=utf-8><title>cato-lsp benchmark</title><style>{style}</style>" + "".join(
        parts
    )


def _settings(document: dict[str, Any]) -> str:
    shown = {k: v for k, v in document.items() if k not in ("policies", "sweep")}
    return "<p>" + html.escape(", ".join(f"{k}: {v}" for k, v in shown.items())) + "</p>"


def _html_table(figures: dict[str, dict[str, Any]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("policy", *(c[0] for c in COLUMNS)))
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>" for cells in rows(figures)
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _figure(width: float, height: float, columns: int = 1) -> tuple[Any, list[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, columns, figsize=(width, height), squeeze=False)
    return figure, list(axes[0])


def _svg(figure: Any) -> str:
    from matplotlib import pyplot

    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight")
    pyplot.close(figure)
    return text.getvalue()[text.getvalue().index("<svg") :]


def _goodput_plot(points: Sequence[dict[str, Any]]) -> str:
    figure, (axis,) = _figure(8, 5)
    rates = [point["rate"] for point in points]
    for name in points[0]["policies"]:
        goodput = [point["policies"][name]["goodput_per_s"] for point in points]
        axis.plot(rates, goodput, marker="o", label=name, linewidth=3 if name == "cato" else 1)
    first = next(iter(points[0]["policies"]))
    axis.plot(rates, [p["policies"][first]["offered_per_s"] for p in points], "k:", label="offered")
    axis.set(xlabel="load", ylabel="deadlines met per second")
    axis.legend()
    return _svg(figure)


def _latency_plots(runs: Sequence[Run]) -> str:
    figure, axes = _figure(16, 4.5, len(KINDS))
    for axis, kind in zip(axes, KINDS, strict=True):
        first_token = kind in (TaskKind.COMPLETION, TaskKind.GENERATION)
        for run in runs:
            seconds = sorted(o.ttft if first_token else o.e2e for o in run.results if o.slo.kind is kind)
            seconds = [s for s in seconds if not math.isnan(s)]
            if seconds:
                share = [(i + 1) / len(seconds) for i in range(len(seconds))]
                axis.plot(seconds, share, label=run.policy, linewidth=3 if run.policy == "cato" else 1)
        slos = [o.slo for run in runs[:1] for o in run.results if o.slo.kind is kind]
        if slos:
            axis.axvline(slos[0].deadline - slos[0].arrival, color="k", linestyle=":")
        axis.set(title=f"{kind.value}: {'TTFT' if first_token else 'E2E'} (s)", xscale="log")
    axes[0].legend()
    return _svg(figure)


def _timeline(run: Run) -> str:
    if not run.steps:
        return ""
    start = _busiest(run)
    figure, (axis,) = _figure(14, 2.5)
    for step in run.steps:
        if not start <= step.start < start + TIMELINE_SECONDS:
            continue
        floor = 0
        for kind in TaskKind:
            tokens = sum(n for i, n in step.tokens.items() if run.results[i].slo.kind is kind)
            axis.bar(step.start, tokens, step.end - step.start, floor, align="edge", color=COLORS[kind], linewidth=0)
            floor += tokens
    handles = [axis.bar(start, 0, color=COLORS[kind], label=kind.value) for kind in KINDS]
    axis.set(title=run.policy, xlabel="s", ylabel="tokens", xlim=(start, start + TIMELINE_SECONDS))
    axis.legend(handles=handles, loc="upper right")
    return _svg(figure)


def _busiest(run: Run) -> float:
    arrivals: dict[int, int] = {}
    for result in run.results:
        slot = int(result.slo.arrival / TIMELINE_SECONDS)
        arrivals[slot] = arrivals.get(slot, 0) + result.prompt
    return max(arrivals, key=lambda slot: arrivals[slot]) * TIMELINE_SECONDS
