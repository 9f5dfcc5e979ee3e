"""``cato-lsp setup``: installs the engine with progress, and checks the result by completing a line."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from cato_lsp.install.engine import install_engine
from cato_lsp.install.errors import SetupError
from cato_lsp.install.machine import Engine

SHOWN_WIDTH = 100


def run_setup(engine: Engine | None, *, check: bool) -> int:
    """Install the engine and report on standard output; return the exit code."""
    console = Console(highlight=False)

    def report(line: str) -> None:
        console.print(f"[bold]set-up:[/] {escape(line)}")

    try:
        with _progress(console) as show:
            install_engine(engine, report, show)
            healthy = not check or _check(report)
    except SetupError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]set-up:[/] {escape(str(error))}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        report("interrupted; run the command again to continue")
        return 130
    if healthy:
        report("done")
    return 0 if healthy else 1


@contextmanager
def _progress(console: Console) -> Generator[Callable[[str], None]]:
    """On a terminal, show a spinner with the current line; otherwise (for VS Code) print every line."""
    if not console.is_terminal:
        yield lambda line: console.print(f"  {escape(line)}", soft_wrap=True)
        return
    with Status("", console=console) as status:
        yield lambda line: status.update(escape(line[:SHOWN_WIDTH]))


def _check(report: Callable[[str], None]) -> bool:
    """Complete a line with the bundled model in a separate process."""
    from cato_lsp.config import Settings
    from cato_lsp.doctor.deep import check_completion
    from cato_lsp.doctor.finding import Level

    report("Checking: the engine starts and completes a line")
    finding = check_completion(Settings(model="bundled"))
    report(f"{finding.detail}. {finding.remedy}".strip().removesuffix(" ."))
    return finding.level is not Level.FAIL
