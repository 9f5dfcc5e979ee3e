"""Drives a headless Neovim over its socket: real keys go in, what it shows comes out."""

from __future__ import annotations

import json
import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec
from msgspec import msgpack

from tests.e2e.editors import BEGINNINGS, EDITORS, ROOT, clean_environment, eventually
from tests.e2e.neovim_screen import Screen, read_screen

NVIM = EDITORS / "neovim" / "nvim"
PLUGIN = ROOT / "editors" / "neovim"
RECORD_COMPLETIONS = """
asked_completions = {}
require('cato.server').listen('textDocument/inlineCompletion', function(_, params, result)
  if result then
    asked_completions[params].items = #(result.items or result)
    if params.context.triggerKind == 1 then
      asked_completions.several = #(result.items or result)
    end
  else
    asked_completions.last = { line = vim.api.nvim_get_current_line(), character = params.position.character }
    asked_completions[params] = asked_completions.last
  end
end)
"""


class Neovim:
    """One Neovim.

    :param config: its ``init.lua``.
    """

    def __init__(self, folder: Path, config: str) -> None:
        path = folder / "nvim.sock"
        self.folder = folder
        init = folder / "init.lua"
        init.write_text(config)
        self._errors = (folder / "nvim.log").open("w")
        self._process = subprocess.Popen(
            [NVIM, "--headless", "--clean", "-n", "-i", "NONE", "--listen", path, "-u", init],
            env=clean_environment(folder),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
        )
        self._channel = socket.socket(socket.AF_UNIX)
        eventually("Neovim listens", lambda: self._channel.connect_ex(str(path)) == 0)

    @classmethod
    def with_plugin(cls, folder: Path, options: str) -> Self:
        """One with our plugin, installed as a folder on the runtime path; its completion requests are recorded."""
        return cls(folder, f"vim.opt.rtp:prepend([[{PLUGIN}]])\nrequire('cato').setup({options})\n{RECORD_COMPLETIONS}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.keys("<C-\\><C-n>:qall!<CR>")
            self._process.wait(20)
        except (AssertionError, OSError, subprocess.SubprocessError):
            self._process.kill()
            self._process.wait()
        self._channel.close()
        self._errors.close()

    def _call(self, method: str, *arguments: Any) -> Any:
        """One msgpack-RPC call; nothing else is ever sent to us, so an answer is complete when it can be read."""
        self._channel.sendall(msgpack.encode([0, 0, method, arguments]))
        received = b""
        while True:
            received += (chunk := self._channel.recv(1 << 16))
            assert chunk, "Neovim has ended"
            try:
                _, _, error, result = msgpack.decode(received)
            except msgspec.DecodeError:
                continue
            assert error is None, error
            return result

    def keys(self, keys: str) -> None:
        """Press keys, in Vim's notation."""
        self._call("nvim_input", keys)

    def type(self, text: str) -> None:
        """Type text."""
        self.keys(text.replace("<", "<lt>"))

    def lua(self, expression: str) -> Any:
        """The value of a Lua expression."""
        script = f"local value = {expression} return vim.json.encode(value == nil and vim.NIL or value)"
        return json.loads(self._call("nvim_exec_lua", script, []))

    def open(self, path: Path) -> None:
        """Edit a file."""
        self.keys(f"<C-\\><C-n>:edit {path}<CR>")

    def lines(self) -> list[str]:
        """The current buffer."""
        return self.lua("vim.api.nvim_buf_get_lines(0, 0, -1, false)")

    def ghost(self) -> str:
        """What is shown as a suggestion, empty if nothing is."""
        shown: list[list[Any]] = self.lua(
            "vim.iter(vim.api.nvim_get_namespaces()):map(function(name, ns)"
            " if name ~= 'nvim.lsp.inline_completion' and name ~= 'cato.completion' then return nil end"
            " local mark = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })[1]"
            " return mark and { mark[4].virt_text or {}, mark[4].virt_lines or {} } end):totable()"
        )
        if not shown:
            return ""
        first, below = shown[0]
        return "\n".join("".join(chunk for chunk, *_ in line) for line in [first, *below])

    def offer(self, line: str) -> str:
        """What is suggested at the end of the cursor's line, once it reads so; empty if the server has nothing."""

        def answered() -> dict[str, Any] | None:
            last: dict[str, Any] | None = self.lua("asked_completions.last")
            is_it = last and last["line"] == line and last["character"] == len(line) and "items" in last
            return last if is_it else None

        items = eventually(f"the server has answered for {line!r}", answered)["items"]
        return eventually("the suggestion is shown", self.ghost) if items else ""

    def begin(self, line: str) -> None:
        """Type a line in place of the cursor's, from nothing: Neovim asks nobody while it fits what is on offer."""
        self.keys("<Esc>")
        eventually("nothing is on offer", lambda: self.lua("vim.fn.mode()") == "n" and not self.ghost())
        self.keys("0C")  # not cc, which keeps the indentation that is there
        eventually("the line is empty", lambda: not self.lua("vim.api.nvim_get_current_line()"))
        self.type(line)

    def suggestion(self, fits: Callable[[str], bool] = bool) -> tuple[str, str]:
        """Type on the cursor's line until a suggestion that fits is shown: the typed line and the suggestion."""
        for typed in BEGINNINGS:
            self.begin(typed)
            if fits(ghost := self.offer(typed)):
                return typed, ghost
        raise AssertionError("the model offers nothing that fits anywhere")

    def screen(self, columns: int, lines: int) -> Screen:
        """What is shown, on a screen of this size."""
        return read_screen(self.folder / "nvim.sock", columns, lines)

    def wait_until_ready(self) -> None:
        """Wait for the engine."""

        def ready() -> bool:
            state = self.lua("require('cato.status').state")
            assert state["kind"] != "Error", state
            return not state["busy"] and state["kind"] == "Normal"

        eventually("the engine is ready", ready)

    def status(self) -> dict[str, Any]:
        """The answer to ``cato/status``."""
        answer: dict[str, Any] = self.lua(
            "vim.lsp.get_clients({ name = 'cato' })[1]:request_sync('cato/status', vim.empty_dict(), 20000).result"
        )
        return answer

    def outcomes(self, kind: str) -> Counter[str]:
        """How the tasks of a kind have ended, by the server's own count."""
        return Counter(self.status()["kinds"].get(kind, {}).get("outcomes", {}))

    def set_debounce(self, milliseconds: int) -> None:
        """Let the server wait for a pause before it asks the model."""
        self.lua(
            "(function() local client = require('cato.server').client()"
            f" client.settings.cato.completion = {{ debounce_ms = {milliseconds} }}"
            " return client:notify('workspace/didChangeConfiguration', { settings = client.settings }) end)()"
        )
