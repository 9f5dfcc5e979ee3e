"""JSON-RPC as the specification has it, where pygls differs.

- Every request gets exactly one answer: also one whose parameters are wrong, or that comes after ``shutdown``.
- ``exit`` ends the session, not the process: other sessions may live in it.
- The session's documents (`Documents`) are kept in step, not pygls's own.
- A handler marked `snapshot_first` starts while its message is read, so that it sees the document as it was then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.protocol import LanguageServerProtocol

from cato_lsp.lsp.documents import UnknownDocumentError

if TYPE_CHECKING:
    from cattrs import Converter

    from cato_lsp.lsp.session import SessionServer

logger = logging.getLogger(__name__)

_Handler = TypeVar("_Handler", bound=Callable[..., Coroutine[Any, Any, Any]])

_Value = TypeVar("_Value")

_SNAPSHOT_FIRST = "cato_snapshot_first"
_PATIENCE = 1.0
"""Seconds that requests have to be answered once what they wait for was aborted."""


def snapshot_first(handler: _Handler) -> _Handler:
    """Mark a plain function that takes its snapshot at once and returns the coroutine that does the work."""
    setattr(handler, _SNAPSHOT_FIRST, True)
    return handler


class SessionProtocol(LanguageServerProtocol):
    """The protocol of one session."""

    def __init__(self, server: SessionServer, converter: Converter) -> None:
        self.session = server.session
        super().__init__(server, converter)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Give a message its types; one that cannot have them is answered here and becomes ``None``."""
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
        """Hand a message to its handler."""
        if message is None:
            return
        request = hasattr(message, "id") and hasattr(message, "method")
        if request and (refusal := self._refusal(message.method)) is not None:
            self._send_response(message.id, error=refusal)
        elif isinstance(message, dict):
            self.refuse_message("A message without `jsonrpc` is not JSON-RPC.")
        else:
            super().handle_message(message)

    def structure(self, value: Any, kind: type[_Value]) -> _Value:
        """A JSON value as a type of the protocol."""
        return self._converter.structure(value, kind)

    def refuse_message(self, why: str) -> None:
        """Answer what could not be read as a message (JSON-RPC 2.0, "Response object")."""
        error = types.ResponseError(code=types.ErrorCodes.ParseError, message=why)
        self._send_response(cast("int", None), error=error)

    async def answered(self) -> None:
        """Wait until all open requests of the client have been answered, those aside that wait for the client."""
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

    def _register_builtin_features(self) -> None:
        super()._register_builtin_features()
        builtin = cast("dict[str, Callable[..., None]]", self.fm.builtin_features)
        builtin[types.EXIT] = self._exit
        builtin[types.TEXT_DOCUMENT_DID_OPEN] = self._did_open
        builtin[types.TEXT_DOCUMENT_DID_CHANGE] = self._did_change
        builtin[types.TEXT_DOCUMENT_DID_CLOSE] = self._did_close

    def _exit(self, _params: None) -> None:
        """Code 0 after ``shutdown``, else 1 (LSP 3.18, "Exit Notification")."""
        self.session.end(exit_code=0 if self._shutdown else 1)

    def _did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self.session.opened(self.session.documents.open(params.text_document))

    def _did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        try:
            document = self.session.documents[params.text_document.uri]
        except UnknownDocumentError:
            logger.warning("didChange for a document that is not open")
            return
        document.change(params.text_document.version, params.content_changes)
        self.session.typed()

    def _did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self.session.documents.close(params.text_document.uri)
        self.session.closed(params.text_document.uri)


def _named(error: JsonRpcException, method: str) -> types.ResponseError:
    response = error.to_response_error()
    if isinstance(error, JsonRpcInvalidParams):
        response.message = f"The parameters of {method} are not what the specification says."
    return response
