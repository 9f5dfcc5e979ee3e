"""What ``cato-lsp status`` prints."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from cato_lsp.orchestrator.record import Outcome, TaskRecord
from cato_lsp.orchestrator.summary import summarize_tasks
from cato_lsp.scheduling.slo import TaskKind
from cato_lsp.status_view import show_status


def server(*records: TaskRecord, **more: Any) -> dict[str, Any]:
    """A server's status with these tasks."""
    from dataclasses import asdict

    return {
        "pid": 4711,
        "engine": {"phase": "ready", "message": "a-model", "remedy": ""},
        "stats": {"tokens_computed": 12345, "tokens_wasted": 0},
        "kinds": {kind: asdict(each) for kind, each in summarize_tasks(records).items()},
        "live": 0,
        "memory": 3 * 2**29,
        "machine": None,
        **more,
    }


def printed(*servers: dict[str, Any], width: int = 140) -> str:
    out = io.StringIO()
    show_status(servers, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def record(kind: TaskKind, *, ttft: float = 0.01, e2e: float = 0.5, outcome: Outcome = Outcome.ANSWERED) -> TaskRecord:
    deadline = 0.2 if kind is TaskKind.COMPLETION else 6.0
    return TaskRecord(kind, "a", deadline, kind is not TaskKind.COMPLETION, outcome, ttft=ttft, e2e=e2e)


def line(text: str, label: str) -> list[str]:
    return next(each for each in text.splitlines() if each.strip().startswith(label)).split()


def test_each_kind_has_a_line_with_counts_deadlines_and_times() -> None:
    completions = [record(TaskKind.COMPLETION), record(TaskKind.COMPLETION, ttft=0.3)]
    text = printed(server(*completions, record(TaskKind.TRANSLATION, ttft=0.1, e2e=7.5)))
    assert " ".join(line(text, "Complete")) == "Complete 2 1 of 2 50% 10 ms 300 ms 500 ms 500 ms –"
    assert " ".join(line(text, "Translate")) == "Translate 1 0 of 1 0% 100 ms 100 ms 7.5 s 7.5 s –"


def test_tasks_without_an_answer_are_listed_by_outcome() -> None:
    ended = [record(TaskKind.COMPLETION, outcome=each) for each in (Outcome.SUPERSEDED, Outcome.CANCELLED)]
    assert "1 superseded, 1 cancelled" in printed(server(*ended, *ended[:0]))


def test_the_heading_shows_the_state_and_cost_of_the_engine() -> None:
    text = printed(server(live=2))
    assert text.splitlines()[0] == "● ready  a-model"
    assert "process 4711 · 1.5 GiB · 2 tasks running · 12,345 tokens computed, 0 of them after a cancel" in text
    assert "No requests yet." in text


def test_a_failed_engine_says_what_to_do() -> None:
    text = printed(server(engine={"phase": "failed", "message": "No model.", "remedy": "Install one."}))
    assert "● failed  No model." in text
    assert "→ Install one." in text


def test_brackets_in_names_are_shown_as_they_are() -> None:
    assert "a[bold]model" in printed(server(engine={"phase": "ready", "message": "a[bold]model", "remedy": ""}))


def test_the_machine_is_shown_if_it_is_known() -> None:
    machine = {
        "device": "NVIDIA H200",
        "utilization": 0.63,
        "memory_used_bytes": 2**34,
        "memory_total_bytes": 2**37,
        "kv_cache_usage": 0.02,
        "power_watts": 321.0,
    }
    assert "NVIDIA H200 63% busy · 16.0 GiB of 128.0 GiB · KV cache 2% · 321 W" in printed(server(machine=machine))
