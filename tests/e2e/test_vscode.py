"""VS Code with our extension installed from its VSIX, a real server and the bundled model."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.e2e.editors import eventually, within
from tests.e2e.vscode import STATUS_ITEM, Code, Window
from tests.e2e.wire import Wire

SOURCE = '''def add(first, second):
    """Add two numbers."""
'''
LONG = 200
"""Functions of a file whose translation is not done before a person, or a slow browser, can cancel it."""
GENERATE = '''def add(first, second):
    """Add two numbers."""
    return first + second


def subtract(first, second):
    """Subtract the second number from the first."""
'''


def test_ghost_text_appears_while_typing_and_tab_writes_it_to_the_file(window: Window, wire: Wire) -> None:
    path = window.open("tab.py", SOURCE)
    typed, (rest, *_) = window.suggestion(wire, path)
    window.press("Tab")
    eventually("the suggestion is accepted", lambda: not window.ghost())
    assert window.save(path) == SOURCE + typed + rest
    accepted = eventually("the server is told", lambda: wire.sent("workspace/executeCommand"))
    assert [each["params"]["command"] for each in accepted][-1:] == ["cato.didAccept"]


def test_a_key_accepts_one_word(window: Window, wire: Wire) -> None:
    path = window.open("word.py", SOURCE)
    typed, (rest, *_) = window.suggestion(wire, path, lambda rest: len(re.findall(r"\w+|[^\w\s]+", rest)) > 1)
    window.press("Control+ArrowRight")
    eventually("a part is accepted", lambda: window.ghost() != rest.split("\n")[0])
    saved = window.save(path)
    assert (SOURCE + typed + rest).startswith(saved)
    assert len(SOURCE + typed) < len(saved) < len(SOURCE + typed + rest)


def test_a_key_accepts_one_line(window: Window, wire: Wire) -> None:
    path = window.open("line.py", SOURCE)
    typed, (rest, *_) = window.suggestion(wire, path)
    line = rest.split("\n")[0]
    window.press("Control+ArrowDown")
    eventually("a part is accepted", lambda: window.ghost() != line)
    assert window.save(path).rstrip("\n") == SOURCE + typed + line


def test_a_key_shows_another_suggestion_and_tab_writes_that_one(window: Window, wire: Wire) -> None:
    path = window.open("cycle.py", SOURCE)
    typed, rests = window.suggestion(wire, path, invoke=True)
    window.press("Alt+BracketRight")
    eventually("the other one is shown", lambda: window.ghost() == rests[1].split("\n")[0])
    window.press("Tab")
    eventually("the suggestion is accepted", lambda: not window.ghost())
    assert window.save(path) == SOURCE + typed + rests[1]


def test_what_is_typed_against_a_suggestion_stands_alone_in_the_file(window: Window, wire: Wire) -> None:
    path = window.open("typed.py", SOURCE)
    typed, _ = window.suggestion(wire, path)
    window.type("QQ")
    assert window.save(path) == f"{SOURCE}{typed}QQ"


def test_typing_on_cancels_the_request_in_the_server(window: Window, wire: Wire) -> None:
    def stopped() -> int:
        outcomes = wire.outcomes("completion")
        return outcomes["superseded"] + outcomes["cancelled"]

    before = stopped()
    path = window.open("typing.py", SOURCE)

    def typed_on() -> bool:
        window.type("    value = first_number_of_all_the_numbers_that_were_given + second\n", 60)
        return stopped() > before

    eventually("the server has stopped a request", typed_on, pause=1)
    assert wire.sent("$/cancelRequest")
    window.save(path)


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


def test_an_idle_editor_sends_nothing_to_the_server(window: Window, wire: Wire) -> None:
    window.open("idle.py", SOURCE)

    def silent(seconds: float) -> bool:
        before = wire.size()
        time.sleep(seconds)
        return wire.size() == before

    assert eventually("what was asked before is answered", lambda: silent(2))
    assert silent(5), "something polls"


def test_only_settings_that_the_user_has_set_are_sent(window: Window, wire: Wire) -> None:
    sent = wire.sent("initialize")[0]["params"]["initializationOptions"]
    assert sent == {"model": "bundled", "engine": {"threads": 1, "kvCacheGb": 0.25}}


def test_write_docstring_asks_the_model_and_changes_nothing_but_the_docstring(window: Window, wire: Wire) -> None:
    body = "def add(first, second):\n    return first + second\n"
    path = window.open("docstring.py", body)
    before = wire.outcomes("summarization")
    window.press("Control+Home")
    window.command("Cato: Write Docstring")
    ended = eventually("the task has ended", lambda: wire.outcomes("summarization") - before)
    saved = window.save(path)
    assert ended in ({"answered": 1}, {"empty": 1})
    assert re.sub(r'    """.*?"""\n', "", saved, flags=re.DOTALL) == body
    assert (saved != body) == bool(ended["answered"])


def test_generate_shows_the_code_while_it_grows_and_changes_nothing_above_it(window: Window, wire: Wire) -> None:
    path = window.open("generate.py", GENERATE)
    before = wire.outcomes("generation")
    window.press("ArrowUp")
    window.command("Cato: Generate Code")
    ended = eventually("the task has ended", lambda: wire.outcomes("generation") - before)
    eventually("the preview is closed", lambda: len(window.texts(".editor-group-container")) == 1)
    saved = window.save(path)
    assert ended in ({"answered": 1}, {"empty": 1})
    assert saved.startswith(GENERATE.rstrip("\n"))
    assert (saved.rstrip() != GENERATE.rstrip()) == bool(ended["answered"])


def test_explain_file_opens_an_editor_for_the_answer(window: Window, wire: Wire) -> None:
    window.open("explain.py", SOURCE + "    return first + second\n")
    before = wire.outcomes("summarization")
    window.command("Cato: Explain File")
    ended = eventually("the task has ended", lambda: wire.outcomes("summarization") - before)
    if ended["answered"]:
        eventually("the new editor is there", lambda: any("Untitled" in tab for tab in window.texts(".tab")))
    window.close_other_groups()


def test_the_context_menu_and_the_lightbulb_offer_what_fits_at_the_cursor(window: Window, wire: Wire) -> None:
    window.open("menus.py", "def add(first, second):\n    return first + second\n")
    window.press("Control+Home")
    window.press("Control+Period")
    eventually(
        "the lightbulb offers it",
        lambda: "Cato: Document add" in " ".join(window.texts(".action-widget .monaco-list-row")),
    )
    window.press("Escape")
    window.click(".editor-group-container.active .view-line", "right")
    window.click(".monaco-menu .action-item:has-text('Cato')")
    entries = eventually(
        "the submenu is open", lambda: [e for e in window.texts(".monaco-submenu .action-label") if e.strip()]
    )
    assert [entry.strip() for entry in entries] == ["Generate Code", "Write Docstring", "Translate to…", "Explain File"]
    window.press("Escape", "Escape", "Escape")


def test_translate_opens_an_editor_that_fills_and_cancel_stops_it(window: Window, wire: Wire) -> None:
    window.open(
        "translate.py", "\n\n".join(SOURCE.replace("add", f"add_{n}") + "    return first\n" for n in range(LONG))
    )
    window.command("Cato: Translate to")
    eventually("languages are offered", lambda: "javascript" in "".join(window.texts(".quick-input-list-row")))
    window.type("javascript")
    window.press("Enter")
    eventually("the new editor fills", lambda: any("function" in line for line in window.texts(".view-line")))
    window.click(".notification-list-item .monaco-button")
    eventually("the server has stopped", lambda: wire.outcomes("translation")["cancelled"])
    assert wire.sent("window/workDoneProgress/cancel")
    window.wait_until_ready()
    window.close_other_groups()


def test_the_status_bar_shows_deadlines_met_and_tokens_per_second(window: Window, wire: Wire) -> None:
    window.suggestion(wire, window.open("counted.py", SOURCE))
    label = eventually(
        "it has counted",
        lambda: re.search(r"Deadlines met (\d+) of the last (\d+), Tokens per second (\d+)", window.status_bar()),
    )
    met = [task["met"] for task in wire.counters()["tasks"] if task["met"] is not None]
    assert (int(label[1]), int(label[2])) == (sum(met), len(met))
    assert int(label[3]) > 0
    window.hover(STATUS_ITEM)
    eventually("the hover shows it, too", lambda: "Deadlines met" in " ".join(window.texts(".workbench-hover")))


def test_the_status_view_shows_the_deadlines(window: Window, wire: Wire) -> None:
    window.suggestion(wire, window.open("viewed.py", SOURCE))
    window.command("Cato: Show Status")
    rows = eventually("the table is drawn", lambda: [r for r in window.frame_texts("#kinds tr") if "Completion" in r])
    assert "first token in 200 ms" in rows[0]
    assert "ready" in " ".join(window.frame_texts("#facts"))
    assert "deadlines met" in " ".join(window.frame_texts("#figures"))
    window.close_other_groups()


def test_the_log_has_each_line_at_its_level_and_no_code(window: Window, folder: Path) -> None:
    log = "".join(path.read_text() for path in folder.glob("user/logs/*/exthost*/cato-lsp.cato-lsp/Cato.log"))
    assert "[info] cato_lsp." in log
    assert not re.search(r"\[error\].* (INFO|WARNING) ", log)
    assert not [code for code in ("Add two numbers", "return first", "first_number_of_all") if code in log]


def test_two_windows_one_with_two_folders_each_complete_in_their_own_files(
    code: Code, window: Window, wire: Wire, folder: Path
) -> None:
    other = code.window(folder / "other", folder / "third")
    other.wait_until_ready()

    def told() -> bool:
        # An editor that is slow to find its folders tells them later.
        folders = [each["params"]["workspaceFolders"] for each in wire.sent("initialize")]
        folders += [each["params"]["event"]["added"] for each in wire.sent("workspace/didChangeWorkspaceFolders")]
        return ["other", "third"] in [[each["name"] for each in some] for some in folders]

    if not within(20, told):
        # code-server on a busy machine may miss that the folders of a workspace have been read.
        other.reload()
    eventually("the server knows both folders", told)
    first, second = window.open("two.py", SOURCE), other.open("third.py", SOURCE, folder / "third")
    for each, path in ((window, first), (other, second)):
        typed, (rest, *_) = each.suggestion(wire, path)
        each.press("Tab")
        eventually("the suggestion is accepted", lambda each=each: not each.ghost())
        assert each.save(path) == SOURCE + typed + rest
    other.close()
