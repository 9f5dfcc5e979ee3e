"""Neovim with our plugin, a real server and the bundled model."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.editors import LINE_STARTS, eventually, server_script, shared_servers
from tests.e2e.neovim import Neovim

SOURCE = '''def add(first, second):
    """Add two numbers."""

'''


def first_word(text: str) -> str:
    """What is accepted as a word."""
    match = re.match(r"\s*\w+|\s*[^\w\s]+", text)
    return match[0] if match else text


@pytest.fixture(scope="module", params=["builtin", "extmarks"])
def neovim(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    """A Neovim whose server is ready; once with Neovim's own completion, once with ours."""
    folder = tmp_path_factory.mktemp("neovim")
    with Neovim.with_plugin(folder, completion=request.param) as neovim:
        first = folder / "first.py"
        first.write_text(SOURCE)
        neovim.open(first)
        neovim.wait_until_ready()
        yield neovim


@pytest.fixture
def file(neovim: Neovim, tmp_path: Path) -> Path:
    """A file open in Neovim, the cursor on its empty last line."""
    path = tmp_path / "sums.py"
    path.write_text(SOURCE)
    neovim.open(path)
    eventually("the file is shown", lambda: neovim.lines() == SOURCE.split("\n")[:-1])
    neovim.keys("G")
    return path


def written(neovim: Neovim, file: Path) -> str:
    """The file once it is saved."""
    neovim.keys("<Esc>:write<CR>")
    eventually("the file is saved", lambda: neovim.lua("not vim.bo.modified"))
    return file.read_text()


def test_two_that_share_a_server_share_one_engine(tmp_path: Path) -> None:
    program = tmp_path / "bin"
    program.mkdir()
    server_script(program)
    environment = {"PATH": f"{program}{os.pathsep}{os.environ['PATH']}"}
    with contextlib.ExitStack() as stack:
        for name in ("one", "two"):
            (folder := tmp_path / name).mkdir()
            each = stack.enter_context(Neovim.with_plugin(folder, environment, cmd=None))
            path = folder / "sums.py"
            path.write_text(SOURCE)
            each.open(path)
            each.wait_until_ready()
            each.keys("G")
            typed, ghost = each.suggestion()
            each.keys("<Tab>")
            eventually("the suggestion is inserted", lambda each=each, typed=typed: each.lines()[2] != typed)
            assert written(each, path) == f"{SOURCE.removesuffix(chr(10))}{typed}{ghost}\n"
        assert len(shared_servers()) == 1


def test_tab_writes_the_ghost_text_to_the_file(neovim: Neovim, file: Path) -> None:
    typed, ghost = neovim.suggestion()
    neovim.keys("<Tab>")
    eventually("the suggestion is inserted", lambda: not neovim.ghost() and neovim.lines()[2] != typed)
    assert written(neovim, file) == f"{SOURCE.removesuffix(chr(10))}{typed}{ghost}\n"


def test_a_key_accepts_one_word_and_the_rest_is_still_suggested(neovim: Neovim, file: Path) -> None:
    typed, ghost = neovim.suggestion(lambda ghost: first_word(ghost) != ghost)
    neovim.keys("<M-Right>")
    eventually("a word is inserted", lambda: neovim.lines()[2] == (typed + first_word(ghost)).split("\n")[0])
    assert eventually("the rest is shown", neovim.ghost) == ghost.removeprefix(first_word(ghost))
    assert written(neovim, file) == f"{SOURCE.removesuffix(chr(10))}{typed}{first_word(ghost)}\n"


def test_a_key_accepts_one_line(neovim: Neovim, file: Path) -> None:
    typed, ghost = neovim.suggestion()
    line = ghost.split("\n")[0]
    neovim.keys("<M-Down>")
    eventually("a line is inserted", lambda: neovim.lines()[2] == typed + line)
    assert written(neovim, file) == f"{SOURCE.removesuffix(chr(10))}{typed}{line}\n"


def test_a_key_shows_another_suggestion_and_tab_writes_that_one(neovim: Neovim, file: Path) -> None:
    for typed in LINE_STARTS:
        neovim.begin(typed)
        ghost = neovim.offer(typed)
        if not ghost:
            continue
        neovim.keys("<M-]>")
        several = eventually("several were asked for", lambda: neovim.lua("asked_completions.several"))
        neovim.lua("(function() asked_completions.several = nil return true end)()")
        if several > 1:
            break
    else:
        pytest.fail("the model never offers several")
    other = eventually("another one is shown", lambda: (now := neovim.ghost()) != ghost and now)
    other = re.sub(r" \(\d/\d\)$", "", other)  # Neovim's own says which of how many it is
    neovim.keys("<Tab>")
    eventually("the suggestion is inserted", lambda: not neovim.ghost() and neovim.lines()[2] != typed)
    assert written(neovim, file) == f"{SOURCE.removesuffix(chr(10))}{typed}{other}\n"


def test_tab_without_a_suggestion_is_a_tab(neovim: Neovim, file: Path) -> None:
    neovim.suggestion()
    neovim.keys("<C-]>")
    eventually("the suggestion is gone", lambda: not neovim.ghost())
    before = neovim.lines()[2]
    neovim.keys("<Tab>")
    eventually("a tab is typed", lambda: neovim.lines()[2] != before)
    assert neovim.lines()[2].rstrip() == before.rstrip()


def test_what_is_typed_against_a_suggestion_stands_alone_in_the_file(neovim: Neovim, file: Path) -> None:
    typed, _ = neovim.suggestion()
    neovim.type("QQ")
    neovim.keys("<Esc>")
    assert written(neovim, file) == f"{SOURCE.removesuffix(chr(10))}{typed}QQ\n"


def test_typing_on_stops_the_older_request_in_the_server(neovim: Neovim, file: Path) -> None:
    def stopped() -> int:
        outcomes = neovim.outcomes("completion")
        return outcomes["superseded"] + outcomes["cancelled"]

    before = stopped()
    neovim.keys("<Esc>0C")
    letters = itertools.cycle("    value = first_number_of_all_the_numbers + second_number")

    def typed_on() -> bool:
        neovim.type(next(letters))
        return stopped() > before

    # Neovim's own completion asks 200 ms after a key, when the model has long answered: the server then takes its time.
    neovim.set_debounce(1000)
    eventually("the server has stopped a request", typed_on, pause=0.25)
    neovim.set_debounce(0)
    eventually("nothing is left running", lambda: neovim.status()["live"] == 0)


def test_a_pause_asks_the_server_nothing_until_it_ends(neovim: Neovim, file: Path) -> None:
    neovim.keys("<Esc>:Cato pause 10<CR>")
    eventually("the statusline says so", lambda: neovim.lua("require('cato').statusline()") == "cato ‖")
    before = neovim.outcomes("completion")
    neovim.type("0C    return first")
    eventually("the line is typed", lambda: neovim.lines()[2] == "    return first")
    assert neovim.outcomes("completion") == before
    neovim.keys("<Esc>:Cato resume<CR>")
    eventually("the statusline says so", lambda: neovim.lua("require('cato').statusline()") == "cato ✓")
    neovim.suggestion()


def test_the_status_window_and_the_health_check_tell_of_the_engine(neovim: Neovim, file: Path) -> None:
    neovim.keys("<Esc>:Cato status<CR>")
    eventually("the window is open", lambda: "ready" in neovim.lines()[0])
    neovim.keys("q")
    neovim.keys(":checkhealth cato<CR>")

    def report() -> str:
        text = "\n".join(neovim.lines())
        return text if "cato-lsp doctor" in text else ""

    text = eventually("the report is open", report)
    assert "ERROR" not in text
    assert "cato-lsp" in text
    neovim.keys(":close<CR>")


def test_translate_fills_a_buffer_and_cancel_stops_it(neovim: Neovim, file: Path) -> None:
    before = neovim.outcomes("translation")
    file.write_text("\n\n".join(SOURCE.replace("add", f"add_{number}") for number in range(100)))
    neovim.keys("<Esc>:edit!<CR>:%Cato translate javascript<CR>")
    filled = "vim.iter(vim.api.nvim_list_bufs()):any(function(b) return vim.bo[b].filetype == 'javascript'"
    filled += " and table.concat(vim.api.nvim_buf_get_lines(b, 0, -1, false)):find('function') ~= nil end)"
    eventually("the buffer fills", lambda: neovim.lua(filled))
    assert neovim.lua("require('cato').statusline()").startswith("cato … Translate")
    neovim.keys(":Cato cancel<CR>")
    ended = eventually("the task has ended", lambda: neovim.outcomes("translation") - before)
    assert ended == {"cancelled": 1}
    eventually("the statusline is calm again", lambda: neovim.lua("require('cato').statusline()") == "cato ✓")
    neovim.keys(":only<CR>")


def test_generate_asks_the_model_and_changes_nothing_above_the_cursor(neovim: Neovim, file: Path) -> None:
    before = neovim.outcomes("generation")
    text = "def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n"
    file.write_text(text)
    neovim.keys("<Esc>:edit!<CR>G:Cato generate<CR>")
    ended = eventually("the task has ended", lambda: neovim.outcomes("generation") - before)
    assert ended in ({"answered": 1}, {"empty": 1})
    if ended["answered"]:
        eventually("the body is inserted", lambda: len(neovim.lines()) > text.count("\n"))
    assert written(neovim, file).startswith(text.rstrip("\n"))


def test_explain_opens_a_buffer_for_the_answer(neovim: Neovim, file: Path) -> None:
    before = neovim.outcomes("summarization")
    file.write_text("def add(first, second):\n    return first + second\n")
    neovim.keys("<Esc>:edit!<CR>:%Cato explain<CR>")
    ended = eventually("the task has ended", lambda: neovim.outcomes("summarization") - before)
    assert ended in ({"answered": 1}, {"empty": 1})
    if ended["answered"]:
        shown = "vim.iter(vim.api.nvim_list_bufs()):any(function(b) return vim.bo[b].filetype == 'markdown' end)"
        eventually("the buffer is there", lambda: neovim.lua(shown))
    neovim.keys(":only<CR>")


def test_summarize_asks_the_model_and_changes_nothing_but_the_docstring(neovim: Neovim, file: Path) -> None:
    before = neovim.outcomes("summarization")
    body = "def add(first, second):\n    return first + second\n"
    file.write_text(body)
    neovim.keys("<Esc>:edit!<CR>gg:Cato summarize<CR>")
    ended = eventually("the task has ended", lambda: neovim.outcomes("summarization") - before)
    assert ended in ({"answered": 1}, {"empty": 1})
    if ended["answered"]:
        eventually("the docstring is inserted", lambda: '"""' in "\n".join(neovim.lines()))
    assert re.sub(r'    """.*?"""\n', "", written(neovim, file), flags=re.DOTALL) == body
