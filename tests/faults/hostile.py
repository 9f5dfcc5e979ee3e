"""Random and malformed LSP messages, the same ones for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

URI = "file:///hostile.py"
POSITION = {"line": 0, "character": 1}
RANGE = {"start": POSITION, "end": {"line": 3, "character": 0}}
DOCUMENT = {"uri": URI}

REQUESTS: dict[str, Any] = {
    "cato/status": None,
    "textDocument/inlineCompletion": {"textDocument": DOCUMENT, "position": POSITION, "context": {"triggerKind": 1}},
    "textDocument/codeAction": {"textDocument": DOCUMENT, "range": RANGE, "context": {"diagnostics": []}},
    "codeAction/resolve": {
        "title": "t",
        "data": {"assist": "generate", "uri": URI, "version": 1, "range": RANGE},
    },
    "workspace/executeCommand": {"command": "cato.explain", "arguments": [{"uri": URI, "range": RANGE}]},
    "initialize": {"processId": None, "rootUri": None, "capabilities": {}},
    "textDocument/hover": {"textDocument": DOCUMENT, "position": POSITION},
    "nobody/knows": {},
}
NOTIFICATIONS: dict[str, Any] = {
    "textDocument/didOpen": {"textDocument": {"uri": URI, "languageId": "python", "version": 1, "text": "x = 1\n"}},
    "textDocument/didChange": {
        "textDocument": {"uri": URI, "version": 2},
        "contentChanges": [{"range": RANGE, "text": "y"}],
    },
    "textDocument/didClose": {"textDocument": DOCUMENT},
    "textDocument/didShowCompletion": {"item": {"insertText": "x", "command": {"arguments": [1]}}},
    "textDocument/didPartiallyAcceptCompletion": {"item": {"insertText": "x"}, "acceptedLength": 3},
    "workspace/didChangeWorkspaceFolders": {"event": {"added": [{"uri": "file:///none", "name": "n"}], "removed": []}},
    "window/workDoneProgress/cancel": {"token": "t"},
    "$/cancelRequest": {"id": 1},
    "$/setTrace": {"value": "off"},
    "initialized": {},
    "nobody/knows": {},
}
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1 << 40,
    1e308,
    "",
    "\ud800",
    "file:///\0",
    "x" * 1000,
    [],
    {},
    [[[]]],
    {"jsonrpc": "2.0", "id": 7, "method": "cato/status"},
    {"uri": {"uri": []}},
)
BODIES = (
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe\x00",
    b"1e999",
    b"{}",
    b'{"jsonrpc":"1.0","id":1,"method":"cato/status"}',
    b'{"jsonrpc":"2.0"}',
    b'{"jsonrpc":"2.0","id":[1],"method":"cato/status"}',
    b'{"jsonrpc":"2.0","id":{},"result":1}',
    b'{"jsonrpc":"2.0","method":7}',
    b'{"jsonrpc":"2.0","id":"nobody","result":{}}',
    b'{"jsonrpc":"2.0","id":"nobody","error":{"code":"x"}}',
    b"[" * 5000,
)


def messages(seed: int, count: int) -> Iterator[tuple[bytes, int | None]]:
    """Framed messages, each with the id under which it has to be answered, if it is a request."""
    dice = random.Random(seed)
    for number in range(1000, 1000 + count):
        kind = dice.random()
        if kind < 0.15:
            yield _framed(dice.choice(BODIES)), None
        elif kind < 0.6:
            method = dice.choice(list(REQUESTS))
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": _broken(dice, REQUESTS[method])}
            yield _framed(json.dumps(message).encode()), number
        else:
            method = dice.choice(list(NOTIFICATIONS))
            message = {"jsonrpc": "2.0", "method": method, "params": _broken(dice, NOTIFICATIONS[method])}
            yield _framed(json.dumps(message).encode()), None


def _broken(dice: random.Random, value: Any) -> Any:
    """A value with a part replaced, left out, or added; sometimes as it is."""
    if dice.random() < 0.15:
        return value
    if isinstance(value, dict) and value and dice.random() < 0.8:
        key = dice.choice(list(value))
        match dice.randrange(4):
            case 0:
                return {name: each for name, each in value.items() if name != key}
            case 1:
                return {**value, "surplus": dice.choice(JUNK)}
            case _:
                return {**value, key: _broken(dice, value[key])}
    if isinstance(value, list) and value and dice.random() < 0.8:
        return [_broken(dice, value[0]), *value[1:]]
    return dice.choice(JUNK)


def _framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
