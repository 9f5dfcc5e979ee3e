"""VS Code with our extension installed from its VSIX, a real server and the bundled model."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cato_lsp.models.catalog import resolve_model
from tests.e2e.editors import eventually, server_script
from tests.e2e.vscode import Code, Window, Wire, recorded

SOURCE = '''def add(first, second):
    """Add two numbers."""
'''
BEGINNINGS = ("    return ", "    return first", "    if ", "    for ", "    return sum(", "    self.", "    while ")
"""What is typed until the model offers something; which of them it answers depends on the model."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the editor's person lives."""
    return tmp_path_factory.mktemp("vscode")


@pytest.fixture(scope="module")
def wire(folder: Path) -> Wire:
    """What editor and server said."""
    return Wire(folder / "wire")


@pytest.fixture(scope="module")
def settings(folder: Path) -> dict[str, Any]:
    """The person's settings."""
    server = recorded(server_script(folder), folder)
    return {
        "cato.server.path": str(server),
        "cato.model": "bundled",
        "cato.engine.threads": 1,
        "cato.engine.kvCacheGb": 0.25,
    }


@pytest.fixture(scope="module")
def code(folder: Path, settings: dict[str, Any]) -> Iterator[Code]:
    """VS Code and a browser."""
    with Code(folder, settings) as code:
        yield code


@pytest.fixture(scope="module")
def window(code: Code, folder: Path) -> Window:
    """A window whose server is ready."""
    window = code.window(folder / "workspace")
    window.wait_until_ready()
    return window


def suggestion(window: Window, wire: Wire, fits: Callable[[str], bool] = bool) -> tuple[str, str]:
    """Type until a suggestion that fits is shown: the typed line and what of the suggestion is on that line."""
    for typed in BEGINNINGS:
        window.press("Escape", "Home", "Home", "Shift+End", "Delete")
        asked = len(wire.sent("textDocument/inlineCompletion"))
        window.type(typed)
        eventually("the model was asked", lambda asked=asked: len(wire.sent("textDocument/inlineCompletion")) > asked)
        try:
            ghost = eventually("a suggestion is shown", window.ghost, patience=4)
        except AssertionError:
            continue
        if fits(ghost):
            return typed, ghost
    pytest.fail("the model offers nothing that fits anywhere")


def outcomes(wire: Wire, kind: str) -> dict[str, int]:
    """How the tasks of a kind ended, by the server's own count."""
    return wire.counters().get("kinds", {}).get(kind, {}).get("outcomes", {})


def test_ghost_text_appears_while_typing_and_tab_writes_it_to_the_file(window: Window, wire: Wire) -> None:
    path = window.open("tab.py", SOURCE)
    typed, ghost = suggestion(window, wire)
    window.press("Tab")
    eventually("the suggestion is accepted", lambda: not window.ghost())
    assert window.save(path).startswith(SOURCE + typed + ghost)
    accepted = [each["params"] for each in wire.sent("workspace/executeCommand")]
    assert [each["command"] for each in accepted][-1:] == ["cato.didAccept"]


def test_a_key_accepts_one_word(window: Window, wire: Wire) -> None:
    path = window.open("word.py", SOURCE)
    typed, ghost = suggestion(window, wire, lambda ghost: len(re.findall(r"\w+|[^\w\s]+", ghost)) > 1)
    window.press("Control+ArrowRight")
    eventually("a part is accepted", lambda: window.ghost() != ghost)
    saved = window.save(path)
    assert (SOURCE + typed + ghost).startswith(saved)
    assert len(SOURCE + typed) < len(saved) < len(SOURCE + typed + ghost)


def test_a_key_accepts_one_line(window: Window, wire: Wire) -> None:
    path = window.open("line.py", SOURCE)
    typed, ghost = suggestion(window, wire)
    window.press("Control+ArrowDown")
    eventually("a part is accepted", lambda: window.ghost() != ghost)
    assert window.save(path).rstrip("\n") == SOURCE + typed + ghost


def test_what_is_typed_against_a_suggestion_stands_alone_in_the_file(window: Window, wire: Wire) -> None:
    path = window.open("typed.py", SOURCE)
    typed, _ = suggestion(window, wire)
    window.type("QQ")
    assert window.save(path) == f"{SOURCE}{typed}QQ"


def test_typing_on_cancels_the_request_in_the_server(window: Window, wire: Wire) -> None:
    def stopped() -> int:
        return sum(outcomes(wire, "completion").get(each, 0) for each in ("superseded", "cancelled"))

    before = stopped()
    window.open("typing.py", SOURCE)
    window.type("    value = first_number_of_all_the_numbers_that_were_given_to_this_function + second", 60)
    eventually("the server has stopped a request", lambda: stopped() > before)
    assert wire.sent("$/cancelRequest")
    window.press("Control+S")


def test_a_pause_asks_the_server_nothing(window: Window, wire: Wire) -> None:
    window.command("Cato: Pause Completions")
    eventually("the status bar says so", lambda: "paused" in window.status_bar())
    path = window.open("pause.py", SOURCE)
    asked = len(wire.sent("textDocument/inlineCompletion"))
    window.type("    return first")
    assert window.save(path) == SOURCE + "    return first"
    assert len(wire.sent("textDocument/inlineCompletion")) == asked
    window.command("Cato: Resume Completions")
    window.wait_until_ready()


def test_write_docstring_asks_the_model_and_changes_nothing_but_the_docstring(window: Window, wire: Wire) -> None:
    body = "def add(first, second):\n    return first + second\n"
    path = window.open("docstring.py", body)
    window.press("Control+Home")
    window.command("Cato: Write Docstring")
    ended = eventually("the task has ended", lambda: outcomes(wire, "summarization"))
    saved = window.save(path)
    assert set(ended) <= {"answered", "empty"}
    assert re.sub(r'    """.*?"""\n', "", saved, flags=re.DOTALL) == body
    assert (saved != body) == ("answered" in ended)


def test_translate_opens_an_editor_that_fills_and_cancel_stops_it(window: Window, wire: Wire) -> None:
    window.open("translate.py", "\n\n".join(SOURCE.replace("add", f"add_{n}") + "    return first\n" for n in range(9)))
    window.command("Cato: Translate to")
    eventually("languages are offered", lambda: "javascript" in "".join(window.texts(".quick-input-list-row")))
    window.type("javascript")
    window.press("Enter")
    eventually("the new editor fills", lambda: any("function" in line for line in window.texts(".view-line")))
    window.click(".notification-list-item .monaco-button")
    eventually("the server has stopped", lambda: outcomes(wire, "translation").get("cancelled"))
    assert wire.sent("window/workDoneProgress/cancel")
    window.wait_until_ready()


def test_the_status_view_shows_the_promises(window: Window, wire: Wire) -> None:
    window.command("Cato: Show Status")
    rows = eventually("the table is drawn", lambda: [r for r in window.frame_texts("#kinds tr") if "Completion" in r])
    assert "first token in 200 ms" in rows[0]
    assert "ready" in " ".join(window.frame_texts("#facts"))


def test_two_windows_each_complete_in_their_own_file(code: Code, window: Window, wire: Wire, folder: Path) -> None:
    other = code.window(folder / "other")
    other.wait_until_ready()
    first, second = window.open("two.py", SOURCE), other.open("two.py", SOURCE)
    texts: list[str] = []
    for each, path in ((window, first), (other, second)):
        typed, ghost = suggestion(each, wire)
        each.press("Tab")
        eventually("the suggestion is accepted", lambda each=each: not each.ghost())
        texts.append(each.save(path))
        assert texts[-1].startswith(SOURCE + typed + ghost)
    other.close()


def test_the_status_bar_tells_of_a_broken_model_and_of_its_repair(
    code: Code, window: Window, settings: dict[str, Any], folder: Path
) -> None:
    model = folder / "model"
    shutil.copytree(resolve_model("bundled").path, model)
    config = (model / "config.json").rename(folder / "config.json")
    code.configure({**settings, "cato.model": str(model)})
    window.reload()
    eventually(
        "the status bar tells of the error", lambda: window.status_bar().startswith("Cato: ") and window.has_error()
    )
    assert "Ready" not in window.status_bar()
    shutil.copy(config, model / "config.json")
    window.command("Cato: Restart Server")
    window.wait_until_ready()
