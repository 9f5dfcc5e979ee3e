"""JSON-RPC as the specification has it, where pygls differs.

- Every request gets exactly one response, even if its parameters are invalid or it comes after ``shutdown``.
- ``exit`` ends the session, not the process, which may serve other sessions.
- Changes are applied to the session's `Documents`, not to pygls's own.
- A handler marked `snapshot_first` starts while its message is read, so that it sees that version of the document.
- After ``initialized``, messages wait until the settings are loaded, because the settings say which documents are
  excluded.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.protocol import LanguageServerProtocol

from cato_lsp.lsp.documents import Document, Documents, UnknownDocumentError
from cato_lsp.lsp.messages import brief

if TYPE_CHECKING:
    from cattrs import Converter

logger = logging.getLogger(__name__)

_Handler = TypeVar("_Handler", bound=Callable[..., Coroutine[Any, Any, Any]])

_Value = TypeVar("_Value")

_SNAPSHOT_FIRST = "cato_snapshot_first"
_PATIENCE = 1.0
"""Seconds that requests have to be answered after their tasks were aborted."""


def snapshot_first(handler: _Handler) -> _Handler:
    """Mark a handler that takes its snapshot when it is called, and returns a coroutine for the rest of the work."""
    setattr(handler, _SNAPSHOT_FIRST, True)
    return handler


class Owner(Protocol):
    """The part of a session that the protocol uses."""

    documents: Documents
    ended: threading.Event

    def opened(self, document: Document) -> None:
        """A document was opened."""
        ...

    def typed(self) -> None:
        """A document was edited."""
        ...

    def closed(self, uri: str) -> None:
        """A document was closed."""
        ...

    def warn(self, text: str) -> None:
        """Show a warning."""
        ...

    def end(self, exit_code: int) -> None:
        """The client has left."""
        ...


class OwnedServer(Protocol):
    """The pygls server of a session."""

    session: Owner


class SessionProtocol(LanguageServerProtocol):
    """The protocol of one session."""

    def __init__(self, server: OwnedServer, converter: Converter) -> None:
        self.session = server.session
        self._held: list[dict[str, Any]] | None = None
        """Messages that wait for the settings; ``None`` once the settings are loaded."""
        super().__init__(cast("Any", server), converter)

    def hold(self) -> None:
        """Delay all messages except responses until `release`."""
        self._held = []

    def release(self) -> None:
        """Process the delayed messages in order. Idempotent."""
        held, self._held = self._held, None
        for message in held or ():
            self.receive(message)

    def receive(self, data: object) -> None:
        """Process a parsed JSON message. An invalid one never ends the session, and writes at most one log line."""
        message = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
        if self._held is not None and "method" in message:
            self._held.append(message)
            return
        if message.get("jsonrpc") != self.VERSION:
            self.refuse_message("A message without `jsonrpc` 2.0 is not JSON-RPC.")
        elif not isinstance(message.get("id"), str | int | None):
            self.refuse_message("The `id` of a message is a number or a string.")
        elif not isinstance(message.get("method", ""), str):
            self.refuse_message("The `method` of a message is a string.", message.get("id"))
        else:
            try:
                self.handle_message(self.structure_message(message))
            except Exception as error:  # a message must not end the connection
                logger.warning("A message could not be processed: %s", type(error).__name__)
                self._give_up(message, error)

    def _give_up(self, message: dict[str, Any], error: Exception) -> None:
        """Handle an unreadable message: respond to the client's request, or fail the server's own request."""
        number = message.get("id")
        if number is not None and "method" in message:
            self._send_response(number, error=types.ResponseError(types.ErrorCodes.InternalError, ""))
        elif number is not None and (future := self._request_futures.pop(number, None)) is not None:
            future.set_exception(JsonRpcInvalidParams(f"The client's answer is not valid: {type(error).__name__}."))

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Convert a message to its type. An invalid one is answered here, and the result is ``None``."""
        if "method" in data and "params" not in data and self.get_message_type(data["method"]) is None:
            data = {**data, "params": None}  # JSON-RPC 2.0 lets a request go without
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" not in data or "method" not in data:
                raise
            logger.warning("Invalid parameters for %s", data["method"])
            self._send_response(data["id"], error=_named(error, str(data["method"])))
            return None

    def handle_message(self, message: Any) -> None:
        """Call the handler of a message."""
        if message is None:
            return
        request = hasattr(message, "id") and hasattr(message, "method")
        if request and (refusal := self._refusal(message.method)) is not None:
            self._send_response(message.id, error=refusal)
        else:
            super().handle_message(message)

    def structure(self, value: Any, kind: type[_Value]) -> _Value:
        """A JSON value as a type of the protocol."""
        return self._converter.structure(value, kind)

    def refuse_message(self, why: str, number: int | str | None = None) -> None:
        """Send the error response to an invalid message (JSON-RPC 2.0, "Response object")."""
        logger.warning("Refused a message: %s", why)
        error = types.ResponseError(code=types.ErrorCodes.ParseError, message=why)
        self._send_response(number, error=error)

    def _send_response(self, msg_id: Any, result: Any | None = None, error: types.ResponseError | None = None) -> None:
        """Send an answer. An error is shown to a person: it is short, and has no traceback."""
        if error is not None:
            internal = error.code == types.ErrorCodes.InternalError.value
            text = "The request failed in the server; the cause is in its log." if internal else brief(error.message)
            error = types.ResponseError(error.code, text)
        super()._send_response(msg_id, result, error)

    async def answered(self) -> None:
        """Wait until all open requests are answered, except those that wait for a response of the client."""
        ours = [task for task in self._request_futures.values() if isinstance(task, asyncio.Task)]
        if ours:
            await asyncio.wait(ours, timeout=_PATIENCE)

    def _refusal(self, method: str) -> types.ResponseError | None:
        if self._shutdown:
            return types.ResponseError(types.ErrorCodes.InvalidRequest, "The server is shutting down.")
        if self._workspace is None and method != types.INITIALIZE:
            code = types.ErrorCodes.ServerNotInitialized
            return types.ResponseError(code, f"{method} came before `initialize`.")
        if self._workspace is not None and method == types.INITIALIZE:
            return types.ResponseError(types.ErrorCodes.InvalidRequest, "`initialize` came twice.")
        return None

    def _execute_handler(
        self,
        msg_id: Any,
        handler: Any,
        callback: Any,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        function = getattr(handler, "func", handler)
        if getattr(function, _SNAPSHOT_FIRST, False):
            work = handler(*(args or ()), **(kwargs or {}))

            async def run() -> Any:
                return await work

            super()._execute_handler(msg_id, cast("Any", run), callback)
            # Cancelled in the same read, the task never starts; the work it was to do must be closed then.
            self._request_futures[msg_id].add_done_callback(lambda _future: work.close())
        else:
            super()._execute_handler(msg_id, handler, callback, args, kwargs)

    def _run_generator(self, future: Any, *, gen: Any, result_future: Any) -> None:
        if future is not None and future.cancelled():
            gen.close()
            result_future.cancel()
        else:
            super()._run_generator(future, gen=gen, result_future=result_future)

    def _register_builtin_features(self) -> None:
        super()._register_builtin_features()
        builtin = cast("dict[str, Callable[..., None]]", self.fm.builtin_features)
        # pygls stumbles over tokens of the wrong type; ours looks after our own progress.
        del builtin[types.WINDOW_WORK_DONE_PROGRESS_CANCEL]
        builtin[types.EXIT] = self._exit
        builtin[types.TEXT_DOCUMENT_DID_OPEN] = self._did_open
        builtin[types.TEXT_DOCUMENT_DID_CHANGE] = self._did_change
        builtin[types.TEXT_DOCUMENT_DID_CLOSE] = self._did_close

    def _exit(self, _params: None) -> None:
        """Code 0 after ``shutdown``, else 1 (LSP 3.18, "Exit Notification")."""
        self.session.end(exit_code=0 if self._shutdown else 1)

    def _did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        if not isinstance(cast("object", item.language_id), str):  # lsprotocol's converter accepts anything here
            logger.warning("Invalid parameters for %s", types.TEXT_DOCUMENT_DID_OPEN)
            return
        self.session.opened(self.session.documents.open(item))

    def _did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        try:
            document = self.session.documents[params.text_document.uri]
        except UnknownDocumentError:
            logger.warning("didChange for a document that is not open")
            return
        try:
            document.change(params.text_document.version, params.content_changes)
        except Exception:
            # No completion at all is better than one for a text that the editor does not have.
            self._did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(document.uri)))
            self.session.warn("An edit could not be applied. Close and reopen the file to get completions in it again.")
            raise
        self.session.typed()

    def _did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self.session.documents.close(params.text_document.uri)
        self.session.closed(params.text_document.uri)


def _named(error: JsonRpcException, method: str) -> types.ResponseError:
    response = error.to_response_error()
    if isinstance(error, JsonRpcInvalidParams):
        response.message = f"The parameters of {method} are invalid."
    return response
