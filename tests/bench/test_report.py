"""The tables of a benchmark in a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cato_lsp.bench.hardware import load_profile
from cato_lsp.bench.metrics import run_summary
from cato_lsp.bench.poisson import poisson
from cato_lsp.bench.report import print_summary, rows
from cato_lsp.bench.simulate import simulate

POLICIES = ["fcfs", "priority", "fcfs-512", "fcfs-2048", "long-prefill", "edf", "pressure", "cato"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_narrow_terminal_shows_all_policies_and_figures_whole(width: int) -> None:
    (run,) = simulate(poisson(rate=1.0, seed=3, duration=1), ["fcfs"], load_profile("h200-qwen2.5-coder-7b"))
    figures = {name: run_summary(run) for name in POLICIES}
    console = Console(file=io.StringIO(), width=width)
    print_summary(console, "Title", figures)
    shown = console.file.getvalue()
    assert "…" not in shown
    for row in rows(figures):
        name, *cells = row
        assert shown.count(f" {name} ") == 1
        assert all(cell in shown for cell in cells if cell != "–")
    assert "device busy" not in shown, "only a real machine has it"
    assert max(map(len, shown.splitlines())) <= width
    assert shown.count("compl. TTFT P95") == shown.count("Title") == {40: 5, 80: 2, 200: 1}[width]
