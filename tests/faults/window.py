"""An editor window that types, asks and cancels, and counts the answers to each request."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, Self

from tests.lsp.wire import Wire, change, completion

TEXT = "import json\n\n\ndef load(path):\n    with open(path) as file:\n        return json.load(file)\n\n\ndef save(\n"


class Window:
    """One connection with one document. Its documents differ, so that their prompts share no prefix."""

    def __init__(self, wire: Wire, uri: str) -> None:
        self.wire = wire
        self.uri = uri
        self.asked: list[int] = []
        self._versions = itertools.count(2)

    @classmethod
    async def open(cls, port: int, uri: str) -> Self:
        window = cls(await Wire.connect(port), uri)
        await window.wire.initialize()
        await window.wire.status()
        window.reopen()
        return window

    def reopen(self) -> None:
        """Open the document again, as it was at first."""
        self._versions = itertools.count(2)
        self.wire.open(f"# {self.uri}\n{TEXT}", self.uri)

    def type(self) -> None:
        """Insert a character at the start of the second line."""
        self.wire.notify("textDocument/didChange", change(next(self._versions), (1, 0), (1, 0), "x", self.uri))

    def ask(self) -> int:
        """Request a completion; return the request's id."""
        number = self.wire.ask(*completion(9, 9, self.uri))
        self.asked.append(number)
        return number

    def cancel(self, number: int) -> None:
        self.wire.notify("$/cancelRequest", {"id": number})

    def command(self) -> None:
        """Start a summary of the document's function."""
        where = {"start": {"line": 4, "character": 4}, "end": {"line": 4, "character": 4}}
        argument = {"uri": self.uri, "range": where}
        self.asked.append(
            self.wire.ask("workspace/executeCommand", {"command": "cato.explain", "arguments": [argument]})
        )

    async def completes(self) -> bool:
        """Whether a completion is answered with an item."""
        self.type()
        response = await self.wire.answer(self.ask())
        self.asked.pop()
        return bool(response.get("result", {}).get("items"))

    async def wait_for(self, number: int) -> None:
        """Wait for the answer to one request, and count it."""
        self.wire.heard.append(await self.wire.answer(number))

    async def answers(self) -> Counter[int]:
        """How often each request so far was answered; waits until each has been."""
        while (answered := self._answered()).keys() != set(self.asked):
            self.wire.heard.append(await self.wire.hear(self._is_answer_to_come))
        return answered

    def _answered(self) -> Counter[int]:
        return Counter(each["id"] for each in self.wire.heard if "method" not in each and each.get("id") in self.asked)

    def _is_answer_to_come(self, message: dict[str, Any]) -> bool:
        known = self._answered()
        return "method" not in message and message.get("id") in self.asked and message["id"] not in known
