"""``cato-lsp doctor``: checks this machine, and says how to solve each problem."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from cato_lsp.doctor.finding import Finding, Level, fail
from cato_lsp.doctor.hardware import check_cpu, check_disk, check_gpu, check_memory
from cato_lsp.doctor.project import check_editors, check_model, check_settings, settings_here
from cato_lsp.doctor.software import check_extension, check_python, check_torch, check_vllm

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def run_doctor(*, model: str | None = None, deep: bool = False, as_json: bool = False) -> int:
    """Check everything, print the findings, and return the exit code: 1 when something fails.

    Args:
        model: The model to check; ``None``: the one in the current settings.
        deep: Also start the engine in a child process.
        as_json: Print ``{"ok": bool, "findings": [...]}`` rather than a table.
    """
    findings = list(examine(model))
    if deep:
        findings += _guarded("engine", lambda: _check_engine(model))
    healthy = all(finding.level is not Level.FAIL for finding in findings)
    if as_json:
        report = {"ok": healthy, "findings": [asdict(finding) for finding in findings]}
        sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    else:
        _show(findings)
    return 0 if healthy else 1


def examine(model: str | None = None) -> Iterator[Finding]:
    """The findings of all quick checks. None of them imports vllm or torch in this process."""
    checks: dict[str, Callable[[], Iterable[Finding]]] = {
        "Python": check_python,
        "vLLM": check_vllm,
        "torch": check_torch,
        "extension": check_extension,
        "GPU": check_gpu,
        "CPU": check_cpu,
        "memory": check_memory,
        "disk": check_disk,
        "settings": check_settings,
        "model": lambda: check_model(model or settings_here()[0].model),
        "editors": check_editors,
    }
    for topic, check in checks.items():
        yield from _guarded(topic, check)


def _check_engine(model: str | None) -> Iterable[Finding]:
    from cato_lsp.doctor.deep import check_engine

    settings = settings_here()[0]
    yield from check_engine(settings.model_copy(update={"model": model}) if model else settings)


def _guarded(topic: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Run a check. An unexpected exception becomes a finding."""
    try:
        return list(check())
    except Exception as error:
        what = f"the check itself failed: {type(error).__name__}: {error}"
        return [fail(topic, what, "Please report this as a bug.")]


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        text = Text(finding.detail)
        if finding.remedy:
            text.append(f"\n→ {finding.remedy}", style="bold")
        table.add_row(Text(finding.level, style=_STYLES[finding.level]), finding.topic, text)
    Console().print(table)
