"""VS Code and where its server comes from: found, installed, shared, broken, silent, not trusted."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from contextlib import ExitStack
from pathlib import Path

import pytest

from cato_lsp.models.catalog import resolve_model
from tests.e2e.editors import ROOT, eventually, shared_servers
from tests.e2e.vscode import ENGINE, QUIET_SETTINGS, Code, Window
from tests.e2e.wire import Wire

SOURCE = '''def add(first, second):
    """Add two numbers."""
'''
NONE_ON_PATH = pytest.mark.skipif(
    shutil.which("cato-lsp") is not None, reason="a server is on PATH, so it need not be installed"
)


def offer(window: Window) -> str:
    """What the editor says when there is no server."""
    return eventually(
        "an offer is made",
        lambda: next((text for text in window.texts(".notification-list-item") if "was not found" in text), ""),
    )


@NONE_ON_PATH
def test_without_a_server_the_editor_offers_to_install_it(code: Code, window: Window, folder: Path) -> None:
    path = code.settings["cato.server.path"]
    code.configure({"cato.server.path": ""})
    window.reload()
    assert "Install It" in offer(window)
    eventually("the status bar has the colour of errors", window.has_error)
    code.configure({"cato.server.path": str(folder / "nothing")})
    window.reload()
    eventually("the status bar says what is wrong", lambda: "not a program that can be run" in window.status_bar())
    code.configure({"cato.server.path": path})


@NONE_ON_PATH
@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="on a GPU some gigabytes would be downloaded")
def test_a_click_on_install_it_makes_a_server_that_gives_suggestions(tmp_path: Path) -> None:
    # All is real but the downloads: on PYTHONPATH pip finds each package of the lock installed.
    python = tmp_path / "bin" / "python3.11"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{Path(sys.base_prefix) / "bin" / Path(sys.executable).name}" "$@"\n')
    python.chmod(0o755)
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "PYTHONPATH": sysconfig.get_path("purelib")}
    settings = {**QUIET_SETTINGS, **ENGINE, "cato.server.source": str(ROOT)}
    with Code(tmp_path, settings, environment) as code:
        window = code.window(tmp_path / "workspace")
        offer(window)
        window.click(".notification-list-item .monaco-button:has-text('Install It')")
        eventually(
            "the progress is shown",
            lambda: "Installing the Cato server" in " ".join(window.texts(".notification-list-item")),
        )
        window.wait_until_ready()
        own = tmp_path / "user" / "User" / "globalStorage" / "cato-lsp.cato-lsp" / "server"
        assert (own / "bin" / "cato-lsp").is_file()
        assert list(own.glob("lib/*/site-packages/cato_lsp/models/default/model.safetensors"))
        path = window.open("installed.py", SOURCE)
        typed = window.any_suggestion()
        window.press("Tab")
        eventually("the suggestion is accepted", lambda: not window.ghost())
        assert window.save(path).startswith(SOURCE + typed)
        assert len(path.read_text()) > len(SOURCE + typed)


def test_windows_that_share_a_server_share_one_engine(code: Code, window: Window, wire: Wire, folder: Path) -> None:
    code.configure({"cato.server.standalone": False})
    with ExitStack() as afterwards:
        # Else it would start the server again.
        afterwards.callback(window.reload)
        afterwards.callback(code.configure, {"cato.server.standalone": True})
        window.reload()
        other = code.window(folder / "sharing")
        afterwards.callback(other.close)
        for each in (window, other):
            each.wait_until_ready()
            path = each.open("shared.py", SOURCE)
            typed, (rest, *_) = each.suggestion(wire, path)
            each.press("Tab")
            eventually("the suggestion is accepted", lambda each=each: not each.ghost())
            assert each.save(path) == SOURCE + typed + rest
        assert len(shared_servers()) == 1
        started = [each["params"]["processId"] for each in wire.sent("initialize")[-2:]]
        assert len(set(started)) == 2, "both windows were served"
        eventually("one server has counted for both", lambda: wire.outcomes("completion")["answered"] >= 2)


def test_the_editor_does_not_wait_for_a_server_that_does_not_respond(code: Code, folder: Path) -> None:
    path = code.settings["cato.server.path"]
    silent = folder / "silent"
    silent.write_text(f"#!/bin/sh\nexec cat 3>&1 >'{silent}.heard'\n")
    silent.chmod(0o755)
    code.configure({"cato.server.path": str(silent)})
    window = code.window(folder / "patience", size=(1280, 1600))
    try:
        eventually("the server is started", lambda: silent.with_suffix(".heard").exists())
        assert window.activation() >= 0
        assert window.status_bar() == "Cato: Starting"
        window.command("Cato: Pause Completions")
        eventually("the status bar says so", lambda: "paused" in window.status_bar())
    finally:
        window.close()
        code.configure({"cato.server.path": path})


def test_the_status_bar_shows_a_broken_model_and_its_repair(code: Code, window: Window, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(resolve_model("bundled").path, model)
    config = (model / "config.json").rename(tmp_path / "config.json")
    code.configure({"cato.model": str(model)})
    try:
        window.reload()
        eventually(
            "the status bar tells of the error", lambda: window.status_bar().startswith("Cato: ") and window.has_error()
        )
        assert "Ready" not in window.status_bar()
        shutil.copy(config, model / "config.json")
        window.command("Cato: Restart Server")
        window.wait_until_ready()
    finally:
        code.configure({"cato.model": "bundled"})
        window.reload()
        window.wait_until_ready()


def test_an_untrusted_workspace_starts_nothing_until_it_is_trusted(code: Code, wire: Wire, folder: Path) -> None:
    code.configure({"security.workspace.trust.enabled": True, "security.workspace.trust.startupPrompt": "never"})
    window = code.window(folder / "stranger")
    try:
        eventually("the mode is restricted", lambda: "Restricted Mode" in " ".join(window.texts(".statusbar-item")))
        started = len(wire.sent("initialize"))
        window.open("stranger.py", SOURCE)
        assert window.status_bar() == ""
        assert len(wire.sent("initialize")) == started
        window.command("Workspaces: Manage Workspace Trust")
        window.click(".workspace-trust-editor .monaco-button:has-text('Trust')")
        eventually("the server is started", lambda: len(wire.sent("initialize")) > started)
    finally:
        window.close()
        code.configure({"security.workspace.trust.enabled": False})
