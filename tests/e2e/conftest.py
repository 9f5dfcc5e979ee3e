"""VS Code for the tests of a module, more tries for tests in real editors, and what a failed one looked like."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.editors import ROOT, end_shared_servers, server_script
from tests.e2e.vscode import ENGINE, Code, Window
from tests.e2e.wire import Wire


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout if `scripts/setup` has made its environment, else a folder that looks like it."""
    if (ROOT / ".venv" / "bin" / "cato-lsp").exists():
        return ROOT
    folder = tmp_path_factory.mktemp("checkout")
    (folder / ".venv" / "bin").mkdir(parents=True)
    server_script(folder / ".venv" / "bin")
    (folder / "editors").symlink_to(ROOT / "editors")
    return folder


@pytest.fixture(autouse=True)
def own_server() -> Iterator[None]:
    """No shared server before or after a test: a window that joined that of another test would have its settings."""
    end_shared_servers()
    yield
    end_shared_servers()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where VS Code's person lives."""
    return tmp_path_factory.mktemp("vscode")


@pytest.fixture(scope="module")
def wire(folder: Path) -> Wire:
    """What VS Code and the server said."""
    return Wire(folder / "wire")


@pytest.fixture(scope="module")
def code(folder: Path) -> Iterator[Code]:
    """VS Code and a browser."""
    with Code.recorded(folder, ENGINE) as code:
        yield code


@pytest.fixture(scope="module")
def window(code: Code, folder: Path) -> Window:
    """A window whose server is ready."""
    window = code.window(folder / "workspace")
    window.wait_until_ready()
    return window


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """An editor that stumbles gets two more tries, which the report shows as reruns."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.flaky(reruns=2))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what each test that was run again had stumbled over."""
    for report in terminalreporter.stats.get("rerun", ()):
        crash = getattr(report.longrepr, "reprcrash", None)
        terminalreporter.write_line(f"run again: {report.nodeid}: {crash.message if crash else report.longrepr}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add a picture of each window to the report of a failure."""
    report = yield
    arguments: dict[str, Any] = getattr(item, "funcargs", {})
    if report.when == "call" and report.failed:
        for name, window in arguments.items():
            if isinstance(window, Window):
                path = window.workspace.parent / f"{item.name}-{name}.png"
                window.screenshot(path)
                report.sections.append(("picture of the window", str(path)))
    return report
