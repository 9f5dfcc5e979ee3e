"""The state of a session in the window's process, with which another server can continue the session.

The state is built from the messages that pass by. Documents are kept as the notifications that made them: the text of
``didOpen`` and the changes since. The server is asked for the text when the changes become long. All of this is in
memory only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

from cato_lsp.lsp.frames import Message, decode, encode

DOCUMENT_TEXT: Final = "cato/documentText"
"""Request ``{uri}``, answered with a ``TextDocumentItem``. Sent by the window's process, never by an editor."""

_RESUMED: Final = "cato-window-initialize"
_TEXT_ID: Final = "cato-window-text:"
_LONGEST_CHANGES: Final = 1 << 20
"""When the changes to a document exceed this many bytes, its text is requested from the server."""
_CONTENT_MODIFIED: Final = -32801
_REQUEST_FAILED: Final = -32803


@dataclass(slots=True)
class _Document:
    frames: list[bytes]
    """``didOpen`` and the changes since."""
    changed: int = 0
    """Bytes of the changes."""
    asked_at: int | None = None
    """Number of frames when the text was requested from the server; ``None``: no request is open."""


@dataclass(slots=True)
class SessionState:
    """The state of one editor's session. It outlives the servers that serve it."""

    initialize: Message | None = None
    initialized: bool = False
    shut_down: bool = False
    """Whether ``shutdown`` was sent."""
    exited: bool = False
    """Whether ``exit`` was sent."""
    _configuration: bytes | None = None
    _folders: list[bytes] = field(default_factory=list[bytes])
    _documents: dict[str, _Document] = field(default_factory=dict[str, _Document])
    _open: dict[Any, str] = field(default_factory=dict[Any, str])
    """The methods of the editor's unanswered requests, by id."""
    _asked: set[Any] = field(default_factory=set[Any])
    """Ids of the server's requests that the editor has not answered."""
    _progress: dict[Any, None] = field(default_factory=dict[Any, None])
    """Tokens of progress that has begun and not ended."""
    _registered: set[str] = field(default_factory=set[str])
    _served: bool = False
    """Whether the connected server has sent its first message. Before, it may be a dying one."""
    _waiting: list[bytes] = field(default_factory=list[bytes])
    """Messages that arrived when no server had sent its first message, and are not part of the other state."""
    _shown: set[str] = field(default_factory=set[str])
    """Texts of ``window/showMessage``."""
    _repeated: set[str] = field(default_factory=set[str])
    """Messages of earlier servers. If the current server sends one for the first time, it is not shown again."""

    def from_editor(self, frame: bytes) -> list[bytes]:
        """Process a message of the editor. Returns the messages for the server: this one, and perhaps a request."""
        message = decode(frame)
        method, params = message.get("method"), message.get("params")
        if method is None:
            return self._answered(frame, message)
        if "id" in message:
            self._open[_key(message["id"])] = method
        match method:
            case "initialize":
                self.initialize = self.initialize or message
            case "initialized":
                self.initialized = True
            case "workspace/didChangeConfiguration":
                self._configuration = frame
            case "workspace/didChangeWorkspaceFolders":
                self._folders.append(frame)
            case "textDocument/didOpen" | "textDocument/didChange" | "textDocument/didClose":
                return [frame, *self._document_changed(method, _text(params, "textDocument", "uri"), frame)]
            case _:
                self.shut_down |= method == "shutdown"
                self.exited |= method == "exit"
                if not self._served:
                    self._waiting.append(frame)
        return [frame]

    def from_server(self, message: Message) -> tuple[bool, list[bytes]]:
        """Process a message of the server. Returns whether to forward it to the editor, and responses to the server."""
        method, params = message.get("method"), message.get("params")
        if method is None:
            return self._settled(message), []
        if "id" in message:
            if method == "client/registerCapability" and self._is_registered(params):
                return False, [encode({"id": message["id"], "result": None})]
            if method == "client/unregisterCapability":
                self._registered.difference_update(_ids(params, "unregisterations"))
            self._asked.add(_key(message["id"]))
        elif method == "$/progress":
            self._progressed(params)
        elif method == "window/showMessage":
            text = _text(params, "message") or ""
            if text in self._repeated:
                self._repeated.remove(text)
                return False, []
            self._shown.add(text)
        return True, []

    def settle(self) -> Iterator[bytes]:
        """Messages for the editor when its server has gone: they answer all open requests and end all progress.

        The next server answers an open ``initialize``, and requests that no server is known to have read.
        """
        self._served = False
        waiting = {_key(message["id"]) for message in map(decode, self._waiting) if "id" in message}
        for key, method in list(self._open.items()):
            if method != "initialize" and key not in waiting:
                yield self._refuse(key)
        for token in self._progress:
            yield encode({"method": "$/progress", "params": {"token": token, "value": {"kind": "end"}}})
        self._progress.clear()
        self._asked.clear()
        self._repeated = set(self._shown)

    def _refuse(self, key: Any) -> bytes:
        """The error response to an open request whose server has gone."""
        method = self._open.pop(key)
        if method == "shutdown":
            return encode({"id": key, "result": None})
        # Editors ignore ContentModified silently; for an explicit request, the user should see a message.
        asked_for = method in ("workspace/executeCommand", "codeAction/resolve")
        code = _REQUEST_FAILED if asked_for else _CONTENT_MODIFIED
        return encode({"id": key, "error": {"code": code, "message": "The server was restarted. Try again."}})

    def replay(self) -> Iterator[bytes]:
        """The messages that restore the session on a new server, in order. `served` confirms that it reads them."""
        if self.initialize is not None:
            is_open = "initialize" in self._open.values()
            yield encode(self.initialize if is_open else {**self.initialize, "id": _RESUMED})
        if self.initialized:
            yield encode({"method": "initialized", "params": {}})
        yield from self._folders
        if self._configuration is not None:
            yield self._configuration
        for document in self._documents.values():
            document.asked_at = None
            yield from document.frames
        yield from self._waiting

    def served(self) -> None:
        """Process the first message of the server: it reads what it is sent."""
        self._served = True
        self._waiting.clear()

    def _answered(self, frame: bytes, message: Message) -> list[bytes]:
        """Process the editor's response. A response to a request of an earlier server is dropped."""
        if "id" not in message:
            return [frame]
        key = _key(message["id"])
        if key not in self._asked:
            return []
        self._asked.discard(key)
        return [frame]

    def _document_changed(self, method: str, uri: str | None, frame: bytes) -> list[bytes]:
        """Store a document's notification; request the document's text if the changes are long."""
        if uri is None:
            return []
        if method == "textDocument/didClose":
            self._documents.pop(uri, None)
        elif method == "textDocument/didOpen":
            self._documents[uri] = _Document([frame])
        elif (document := self._documents.get(uri)) is not None:
            document.frames.append(frame)
            document.changed += len(frame)
            if document.changed > _LONGEST_CHANGES and document.asked_at is None:
                document.asked_at = len(document.frames)
                return [encode({"id": f"{_TEXT_ID}{uri}", "method": DOCUMENT_TEXT, "params": {"uri": uri}})]
        return []

    def _settled(self, message: Message) -> bool:
        """Process a response of the server. Returns whether to forward it; responses to our own requests are not."""
        key = message.get("id")
        if isinstance(key, str) and key.startswith(_TEXT_ID):
            self._shorten(key.removeprefix(_TEXT_ID), message.get("result"))
            return False
        if key == _RESUMED:
            return False
        self._open.pop(_key(key), None)
        return True

    def _shorten(self, uri: str, item: object) -> None:
        """Replace a document's stored changes by its text."""
        document = self._documents.get(uri)
        if document is None or document.asked_at is None or not isinstance(item, dict):
            return  # closed or opened again since
        opened = encode({"method": "textDocument/didOpen", "params": {"textDocument": item}})
        rest = document.frames[document.asked_at :]
        self._documents[uri] = _Document([opened, *rest], sum(map(len, rest)))

    def _is_registered(self, params: Any) -> bool:
        """Whether the editor has all these registrations from an earlier server. Marks them as registered."""
        ids = _ids(params, "registrations")
        known = ids <= self._registered
        self._registered |= ids
        return known

    def _progressed(self, params: Any) -> None:
        token, kind = params.get("token"), _text(params, "value", "kind")
        if kind == "begin":
            self._progress[token] = None
        elif kind == "end":
            self._progress.pop(token, None)


def _text(value: Any, *names: str) -> str | None:
    """A string in nested objects, or ``None``."""
    for name in names:
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def _ids(params: Any, name: str) -> set[str]:
    """The ids of registrations."""
    return {each["id"] for each in params[name]}


def _key(value: Any) -> Any:
    """A hashable key for an id, whatever the client sends as id."""
    return value if isinstance(value, (str, int, float, type(None))) else str(value)
