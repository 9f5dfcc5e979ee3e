"""Pictures of the real editors for the documentation, and the time from a keystroke to ghost text in them.

python -m tests.e2e.showcase pictures docs/
python -m tests.e2e.showcase latency
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.e2e.editors import eventually, server_script
from tests.e2e.neovim import Neovim
from tests.e2e.vscode import Code, Window, Wire, recorded

SOURCE = '''"""Arithmetic, one function each."""


def add(first, second):
    """Add two numbers."""
    return first + second


def subtract(first, second):
    """Subtract the second number from the first."""
'''
TYPED = "    result = first - second\n    return result\n\n\ndef multiply(first, second):\n    return first * second\n"
KEY_PAUSE = 120
"""Milliseconds between keys: a quick typist."""
ENGINE = {"cato.model": "bundled", "cato.engine.threads": 1, "cato.engine.kvCacheGb": 0.25}
THEMES = {"light": "Light Modern", "dark": "Dark Modern"}


def _window(code: Code, folder: Path) -> Window:
    window = code.window(folder / "workspace")
    window.wait_until_ready()
    return window


def pictures(target: Path) -> None:
    """Take the pictures, each in a light and a dark theme."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings = {**ENGINE, "cato.server.path": str(server_script(folder)), "window.autoDetectColorScheme": False}
        with Code(folder, settings) as code:
            for name, theme in THEMES.items():
                code.configure({**settings, "workbench.colorTheme": theme})
                window = _window(code, folder)
                window.open(f"{name}.py", SOURCE)
                window.type("    return ", 80)
                eventually("a suggestion is shown", window.ghost)
                window.screenshot(target / f"vscode-suggestion-{name}.png")
                window.press("Tab")
                window.command("Cato: Translate to")
                time.sleep(1)
                window.screenshot(target / f"vscode-languages-{name}.png")
                window.type("javascript")
                window.press("Enter")
                eventually("the translation fills", lambda w=window: "function" in "".join(w.texts(".view-line")))
                window.screenshot(target / f"vscode-translate-{name}.png")
                window.wait_until_ready()
                window.command("Cato: Show Status")
                eventually("the table is drawn", lambda w=window: "Completion" in "".join(w.frame_texts("#kinds")))
                window.screenshot(target / f"vscode-status-{name}.png")
                window.close()


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)] if values else math.nan


def _row(name: str, times: Sequence[float], status: dict[str, Any]) -> None:
    own = status["kinds"]["completion"]
    ttft = [math.nan if own[each] is None else 1000 * own[each] for each in ("ttft_p50", "ttft_p95")]
    shown = f"{percentile(times, 50):7.0f} {percentile(times, 95):7.0f}"
    print(f"{name:32} {len(times):6d} {shown} {ttft[0]:9.0f} {ttft[1]:7.0f}")  # noqa: T201


def _in_neovim(provider: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        options = (
            f"{{ cmd = {{ [[{server_script(folder)}]] }}, completion = '{provider}',"
            " settings = { model = 'bundled', engine = { threads = 1, kv_cache_gb = 0.25 } } }"
        )
        with Neovim(folder, options) as neovim:
            path = folder / "typed.py"
            path.write_text(SOURCE)
            neovim.open(path)
            neovim.wait_until_ready()
            neovim.lua(
                "(function() cato_times, cato_pressed = {}, 0"
                " vim.on_key(function() cato_pressed = vim.uv.hrtime() end)"
                " local set = vim.api.nvim_buf_set_extmark"
                " vim.api.nvim_buf_set_extmark = function(b, ns, r, c, o)"
                "  if o.virt_text and cato_pressed > 0 then"
                "   table.insert(cato_times, (vim.uv.hrtime() - cato_pressed) / 1e6) cato_pressed = 0 end"
                "  return set(b, ns, r, c, o) end return true end)()"
            )
            neovim.keys("Go<Esc>cc")
            for letter in TYPED:
                neovim.type(letter)
                time.sleep(KEY_PAUSE / 1000)
            _row(f"Neovim, {provider}", neovim.lua("cato_times"), neovim.status())


def _in_vscode() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        server = recorded(server_script(folder), folder)
        with Code(folder, {**ENGINE, "cato.server.path": str(server)}) as code:
            window = _window(code, folder)
            window.open("typed.py", SOURCE)
            times = window.latency(TYPED, KEY_PAUSE)
            wire = Wire(folder / "wire")
            eventually("the server has counted", lambda: wire.counters().get("kinds", {}).get("completion"))
            time.sleep(2)
            _row("VS Code", times, wire.counters())


def latency() -> None:
    """Type the same text into each editor and print the times."""
    print(f"{'ms':32} {'shown':>6} {'p50':>7} {'p95':>7} {'TTFT p50':>9} {'p95':>7}")  # noqa: T201
    _in_neovim("extmarks")
    _in_neovim("builtin")
    _in_vscode()


if __name__ == "__main__":
    if sys.argv[1] == "pictures":
        pictures(Path(sys.argv[2]))
    else:
        latency()
