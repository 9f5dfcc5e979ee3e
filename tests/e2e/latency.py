"""From a keystroke to the ghost text it brings, in each editor, on the same typing.

python -m tests.e2e.latency

A key counts when no ghost text is on the screen as it goes down and some is before the next key: what stays while it
is typed along with costs nothing. Beside it the server's own times to the first token and to the whole answer: of the
last hundred completions those for which the model was asked and had an answer. Milliseconds.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.e2e.editors import ARITHMETIC, eventually
from tests.e2e.neovim import Neovim
from tests.e2e.vscode import ENGINE, Code
from tests.e2e.wire import Wire

TYPED = """    result = first - second
    return result


def multiply(first, second):
    result = 0
    for index in range(second):
        result = result + first
    return result


class Counter:
    def __init__(self, start):
        self.count = start

    def increase(self, step):
        if step < 0:
            raise ValueError(step)
        self.count = self.count + step
        return self.count
"""
KEY_PAUSE, WORD_PAUSE = 100, 700
"""Milliseconds after a key, and after one that ends a word: a quick typist who looks up."""
STARTS = 5
"""Of VS Code's extension host, whose times to activate the extension are shown."""
WORD_ENDS = " (,:\n"
MEASURE_IN_NEOVIM = """(function()
  cato_times = {}
  local pressed, answered
  require('cato.server').listen('textDocument/inlineCompletion', function(_, _, result) answered = result ~= nil end)
  local spaces = { cato = vim.api.nvim_create_namespace('cato.completion'),
    own = vim.api.nvim_create_namespace('nvim.lsp.inline_completion') }
  local function shown()
    return vim.iter(spaces):any(function(_, space)
      return #vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { limit = 1 }) > 0
    end)
  end
  vim.on_key(function() pressed, answered = not shown() and vim.uv.hrtime() or nil, false end)
  local set = vim.api.nvim_buf_set_extmark
  vim.api.nvim_buf_set_extmark = function(buffer, space, ...)
    -- Neovim's own shows a stale suggestion again with every key, until ours hides it: only an answer counts.
    if pressed and answered and (space == spaces.cato or space == spaces.own) then
      table.insert(cato_times, (vim.uv.hrtime() - pressed) / 1e6)
      pressed = nil
    end
    return set(buffer, space, ...)
  end
  return true
end)()"""


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile, NaN of nothing."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)] if values else math.nan


def _row(name: str, times: Sequence[float], status: dict[str, Any]) -> None:
    tasks = [task for task in status["tasks"] if task["kind"] == "completion"]
    computed = [task for task in tasks if task["source"] == "model" and task["outcome"] == "answered"]
    columns = [times, *([1000 * task[field] for task in computed] for field in ("ttft", "e2e"))]
    figures = [percentile(column, percent) for column in columns for percent in (50, 95)]
    print(f"{name:22} {len(times):5d} " + " ".join(f"{figure:8.0f}" for figure in figures), flush=True)  # noqa: T201


def in_neovim(provider: str) -> None:
    """Type into Neovim, with its own completion or ours."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Neovim.with_plugin(folder, completion=provider) as neovim:
            path = folder / "typed.py"
            path.write_text(ARITHMETIC)
            neovim.open(path)
            neovim.wait_until_ready()
            neovim.keys(":setlocal noautoindent indentexpr=<CR>Go")
            eventually(
                "the cursor is on a line of its own", lambda: neovim.lua("vim.fn.line('.')") > ARITHMETIC.count("\n")
            )
            neovim.lua(MEASURE_IN_NEOVIM)
            for letter in TYPED:
                neovim.type(letter)
                time.sleep((WORD_PAUSE if letter in WORD_ENDS else KEY_PAUSE) / 1000)
            _row(f"Neovim, {provider}", neovim.lua("cato_times"), neovim.status())


def in_vscode() -> None:
    """Type into VS Code."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Code.recorded(folder, ENGINE) as code:
            wire = Wire(folder / "wire")
            window = code.window(folder / "workspace", size=(1280, 1600))
            activations: list[int] = []
            for _ in range(STARTS):
                window.reload()
                window.wait_until_ready()
                activations.append(window.activation())
            window.open("typed.py", ARITHMETIC)
            times = window.latency(TYPED, WORD_ENDS, KEY_PAUSE, WORD_PAUSE)
            asked = len(wire.sent("cato/status"))
            window.command("Cato: Show Status")
            eventually("the server has counted", lambda: len(wire.sent("cato/status")) > asked)
            _row("VS Code", times, wire.counters())
            print("activation of the extension, as VS Code says:", *activations, "ms")  # noqa: T201


if __name__ == "__main__":
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")  # noqa: T201
    columns = ("shown", "p50", "p95", "TTFT p50", "TTFT p95", "E2E p50", "E2E p95")
    print(f"{'ms':22} {columns[0]:>5} " + " ".join(f"{name:>8}" for name in columns[1:]))  # noqa: T201
    in_neovim("extmarks")
    in_neovim("builtin")
    in_vscode()
