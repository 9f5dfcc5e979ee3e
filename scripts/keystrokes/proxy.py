"""Records a person: stands between an editor and the server and writes down what is typed.

Only what the editor tells the server is seen: changes and, by the requests for completions, cursors. What is recorded
is the text itself; it stays in the file that is written.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from lsprotocol import types

from cato_lsp.lsp.documents import Document
from cato_lsp.lsp.positions import Encoding
from keystrokes.recording import Key, Kind, Recording

_ACCEPTED = "cato.didAccept"


class Watcher:
    """Makes a recording of the messages of an editor. The document that is opened first is the one recorded."""

    def __init__(self, made: str, licence: str) -> None:
        self.recording: Recording | None = None
        self._made = made
        self._licence = licence
        self._encoding = Encoding(None)
        self._document: Document | None = None
        self._begun = 0.0

    def heard_client(self, message: Any, now: float) -> None:
        """Take in a message to the server, ``now`` in seconds."""
        params = message.get("params") or {}
        match message.get("method"):
            case "textDocument/didOpen" if self._document is None:
                item = params["textDocument"]
                name = PurePosixPath(unquote(urlsplit(item["uri"]).path)).name
                self._document = Document(
                    types.TextDocumentItem(item["uri"], item["languageId"], item["version"], item["text"]),
                    self._encoding,
                )
                text = self._document.snapshot().text
                self.recording = Recording(item["languageId"], name, self._licence, self._made, text)
                self._begun = now
            case "textDocument/didChange" if self._is_ours(params):
                for change in params["contentChanges"]:
                    self._change(params["textDocument"]["version"], change, now)
            case "textDocument/inlineCompletion" if self._is_ours(params):
                self._moved(self._offset(params["position"]), now)
            case "workspace/executeCommand" if params.get("command") == _ACCEPTED and self.recording:
                last = self.recording.keys.pop()
                self.recording.keys.append(last._replace(kind=Kind.ACCEPT))

    def heard_server(self, message: Any) -> None:
        """Take in a message to the editor: the first answer says in what units positions count."""
        result = message.get("result")
        if self._document is None and isinstance(result, dict) and "capabilities" in result:
            name = cast("dict[str, Any]", result)["capabilities"].get("positionEncoding", "utf-16")
            self._encoding = Encoding(types.PositionEncodingKind(name))

    def _is_ours(self, params: Any) -> bool:
        return self._document is not None and params["textDocument"]["uri"] == self._document.uri

    def _offset(self, position: Any) -> int:
        assert self._document is not None
        return self._document.offset(types.Position(position["line"], position["character"]))

    def _change(self, version: int, change: Any, now: float) -> None:
        document, recording = self._document, self.recording
        assert document is not None
        assert recording is not None
        before = document.snapshot().text
        event: types.TextDocumentContentChangeEvent
        start, end = 0, len(before)
        if "range" in change:
            edges = [types.Position(each["line"], each["character"]) for each in change["range"].values()]
            start, end = sorted(map(document.offset, edges))
            event = types.TextDocumentContentChangePartial(types.Range(*edges), change["text"])
        else:
            event = types.TextDocumentContentChangeWholeDocument(change["text"])
        document.change(version, [event])
        text = document.snapshot().text
        inserted = text[start : len(text) - (len(before) - end)]
        kind = Kind.TYPE if inserted else Kind.DELETE
        recording.keys.append(Key(self._when(now), kind, start, end - start, inserted, start + len(inserted)))

    def _moved(self, offset: int, now: float) -> None:
        """The cursor as a request tells it: behind what was typed, or elsewhere after a jump."""
        assert self.recording is not None
        keys = self.recording.keys
        if keys and keys[-1].kind is not Kind.MOVE and keys[-1].offset <= offset <= keys[-1].cursor:
            keys[-1] = keys[-1]._replace(cursor=offset)
        elif not keys or keys[-1].cursor != offset:
            keys.append(Key(self._when(now), Kind.MOVE, offset, 0, "", offset))

    def _when(self, now: float) -> int:
        return round((now - self._begun) * 1000)


class Frames:
    """Cuts a stream of bytes into JSON-RPC messages."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> list[Any]:
        """The messages that are complete now."""
        self._data += data
        messages: list[Any] = []
        while True:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            sizes = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            if not found or not sizes or len(rest) < int(sizes[0]):
                return messages
            messages.append(json.loads(rest[: int(sizes[0])]))
            self._data = rest[int(sizes[0]) :]


async def record(command: list[str], watcher: Watcher) -> int:
    """Run the server and pass everything on, until it ends; return its exit code."""
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert server.stdin is not None
    assert server.stdout is not None
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), cast("BinaryIO", sys.stdin.buffer))

    async def upstream(to_server: asyncio.StreamWriter) -> None:
        frames = Frames()
        while data := await reader.read(65536):
            to_server.write(data)
            now = time.monotonic()
            for message in frames.feed(data):
                watcher.heard_client(message, now)
        to_server.close()

    async def downstream(from_server: asyncio.StreamReader) -> None:
        frames = Frames()
        while data := await from_server.read(65536):
            os.write(1, data)
            for message in frames.feed(data):
                watcher.heard_server(message)

    up = asyncio.create_task(upstream(server.stdin))
    await downstream(server.stdout)
    up.cancel()
    return await server.wait()
