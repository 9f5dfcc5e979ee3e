"""What editors and their servers say to each other, written down by a program that stands between them."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Wire:
    """What editors and their servers said, as `recorded` wrote it: each server's two directions in files of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[int, list[dict[str, Any]]]] = {}

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The messages of a method that editors have sent."""
        return self._said("in", method)

    def told(self, method: str) -> list[dict[str, Any]]:
        """The messages of a method that servers have sent."""
        return self._said("out", method)

    def _said(self, direction: str, method: str) -> list[dict[str, Any]]:
        messages = [message for path in self._files(direction) for message in self._messages(path)]
        return [message for message in messages if message.get("method") == method]

    def answers(self, method: str) -> list[dict[str, Any]]:
        """What came of the requests of a method, as far as there were answers, errors left out."""
        asked = {
            (path.stem, each["id"])
            for path in self._files("in")
            for each in self._messages(path)
            if each.get("method") == method
        }
        return [
            each["result"]
            for path in self._files("out")
            for each in self._messages(path)
            if (path.stem, each.get("id")) in asked and each.get("result")
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
