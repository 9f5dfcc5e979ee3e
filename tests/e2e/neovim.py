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

from tests.e2e.editors import EDITORS, LINE_STARTS, ROOT, clean_environment, eventually, need, server_script, within
from tests.e2e.neovim_screen import Screen, read_screen

NVIM = EDITORS / "neovim" / "nvim"
PLUGIN = ROOT / "editors" / "neovim"
ENGINE = {"model": "bundled", "engine": {"threads": 1, "kv_cache_gb": 0.25}}
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
    """One Neovim, of a person whose home is a folder.

    :param config: their ``init.lua``.
    :param environment: what they have in their environment beside the usual.
    """

    def __init__(self, folder: Path, config: str, environment: dict[str, str] | None = None) -> None:
        need(NVIM)
        path = folder / "nvim.sock"
        self.folder = folder
        init = folder / ".config" / "nvim" / "init.lua"
        init.parent.mkdir(parents=True)
        init.write_text(config)
        self._errors = (folder / "nvim.log").open("w")
        self._process = subprocess.Popen(
            [NVIM, "--headless", "--listen", path],
            env=clean_environment(folder) | (environment or {}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
        )
        self._channel = socket.socket(socket.AF_UNIX)
        eventually("Neovim listens", lambda: self._channel.connect_ex(str(path)) == 0)

    @classmethod
    def with_plugin(cls, folder: Path, environment: dict[str, str] | None = None, **options: Any) -> Self:
        """One with our plugin, installed as a folder on the runtime path; its completion requests are recorded.

        :param options: of the plugin, besides this checkout's server and the bundled model.
        """
        options = {"cmd": [str(server_script(folder)), "--standalone"], "settings": ENGINE, **options}
        decoded = f"vim.json.decode([==[{json.dumps(options)}]==], {{ luanil = {{ object = true }} }})"
        config = f"vim.opt.rtp:prepend([[{PLUGIN}]])\nrequire('cato').setup({decoded})\n{RECORD_COMPLETIONS}"
        return cls(folder, config, environment)

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
        for typed in LINE_STARTS:
            self.begin(typed)
            if fits(ghost := self.offer(typed)):
                return typed, ghost
        raise AssertionError("the model offers nothing that fits anywhere")

    def any_suggestion(self, patience: float = 5) -> str:
        """Type until a suggestion is shown, as a person does who sees only the screen: what is then on the line."""
        for typed in LINE_STARTS:
            self.begin(typed)
            if within(patience, self.ghost):
                return typed
        raise AssertionError("no suggestion is shown")

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
