"""A client that speaks bytes: what it sends is what the test says, also when that is wrong."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import anyio

PATIENCE = 240.0
"""Seconds after which a missing answer fails a test; no test measures time by it."""


class Wire:
    """One connection. Messages that nobody waits for are kept in `heard`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self.heard: list[dict[str, Any]] = []
        self.ended = False

    @classmethod
    async def connect(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    def send(self, *messages: dict[str, Any]) -> None:
        """Send messages in one write, so that they arrive together."""
        self.send_bytes(b"".join(frame(message) for message in messages))

    def notify(self, method: str, params: Any = None) -> None:
        self.send(notification(method, params))

    def ask(self, method: str, params: Any = None) -> int:
        """Send a request; return its id."""
        number = next(self._numbers)
        self.send(request(number, method, params))
        return number

    async def answer(self, number: int | None) -> dict[str, Any]:
        """The response to a request."""
        return await self.hear(lambda message: "method" not in message and message.get("id") == number)

    async def call(self, method: str, params: Any = None) -> Any:
        """Send a request and return its result; an error response fails."""
        response = await self.answer(self.ask(method, params))
        assert "error" not in response, response
        return response["result"]

    async def told(self, method: str) -> dict[str, Any]:
        """The next notification or server request of this method."""
        return await self.hear(lambda message: message.get("method") == method)

    async def hear(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message, heard already or to come, that is wanted."""
        for message in self.heard:
            if wanted(message):
                self.heard.remove(message)
                return message
        with anyio.fail_after(PATIENCE):
            while (message := await self._read()) is not None:
                if wanted(message):
                    return message
                self.heard.append(message)
        raise AssertionError(f"the connection ended; heard {self.heard}")

    async def until_end(self) -> None:
        """Read until the server closes the connection."""
        with anyio.fail_after(PATIENCE):
            while (message := await self._read()) is not None:
                self.heard.append(message)

    def close(self) -> None:
        self._writer.close()

    async def _read(self) -> dict[str, Any] | None:
        try:
            header = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended = True
            return None
        length = int(header.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        return json.loads(await self._reader.readexactly(length))

    # What editors do.

    async def initialize(self, *, options: Any = None, encoding: str = "utf-16", **capabilities: Any) -> Any:
        result = await self.call(
            "initialize",
            {
                "processId": None,
                "rootUri": None,
                "initializationOptions": options,
                "capabilities": {"general": {"positionEncodings": [encoding]}, **capabilities},
            },
        )
        self.notify("initialized", {})
        return result

    def open(self, text: str, uri: str = "file:///work.py", language: str = "python") -> None:
        document = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    async def complete(self, line: int, character: int, uri: str = "file:///work.py", *, invoked: bool = True) -> Any:
        return await self.call(*completion(line, character, uri, invoked=invoked))

    async def status(self) -> Any:
        return await self.call("cato/status")


def completion(
    line: int, character: int, uri: str = "file:///work.py", *, invoked: bool = True
) -> tuple[str, dict[str, Any]]:
    """Method and parameters of an inline completion."""
    return "textDocument/inlineCompletion", {
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": character},
        "context": {"triggerKind": 1 if invoked else 2},
    }


def change(version: int, start: tuple[int, int], end: tuple[int, int], text: str, uri: str = "file:///work.py") -> Any:
    """Parameters of an incremental ``didChange``."""
    points = [{"line": line, "character": character} for line, character in (start, end)]
    return {
        "textDocument": {"uri": uri, "version": version},
        "contentChanges": [{"range": {"start": points[0], "end": points[1]}, "text": text}],
    }


def request(number: int | str, method: str, params: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def notification(method: str, params: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def frame(message: dict[str, Any]) -> bytes:
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def fixture_text(name: str) -> str:
    """A file of the standard library: code that a person wrote."""
    import sysconfig

    return (Path(sysconfig.get_paths()["stdlib"]) / name).read_text(encoding="utf-8")
