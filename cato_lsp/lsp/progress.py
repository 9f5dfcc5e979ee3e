"""Server-created work-done progress (LSP 3.18, "Work Done Progress"), which the user can cancel."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import anyio
from lsprotocol import types

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session

_PAUSE = 0.1
"""Least seconds between two reports."""


class Progress:
    """One progress, from `begin` to `end`. Sends nothing to clients without progress support.

    :param scope: cancelled when the user cancels.
    """

    def __init__(self, session: Session, title: str, scope: anyio.CancelScope, token: str = "") -> None:
        self.token = token or str(uuid.uuid4())
        self._session = session
        self._title = title
        self._scope = scope
        self._begun = self._ended = False
        self._notes: list[str] = []
        self._tokens = 0
        self._reported = 0.0

    def begin(self) -> None:
        """Ask the client to create the progress. Does not wait for the response."""
        self._session.cancellable[self.token] = self._scope
        window = self._session.capabilities.window
        if window is not None and window.work_done_progress:
            created = types.WorkDoneProgressCreateParams(token=self.token)
            self._session.protocol.send_request(types.WINDOW_WORK_DONE_PROGRESS_CREATE, created, self._created)

    def note(self, text: str) -> None:
        """Add a note that stays: why the task takes longer, or does less."""
        self._notes.append(text)
        self._report()

    def tokens(self, count: int) -> None:
        """Report the number of tokens so far."""
        self._tokens = count
        if self._begun and time.monotonic() - self._reported >= _PAUSE:
            self._report()

    def end(self, message: str = "") -> None:
        """Close the progress."""
        self._session.cancellable.pop(self.token, None)
        if self._begun and not self._ended and not self._session.ended.is_set():
            end = types.WorkDoneProgressEnd(message=message or None)
            self._session.server.work_done_progress.end(self.token, end)
        self._ended = True

    def _created(self, _result: Any) -> None:
        if not self._ended:
            self._begun = True
            begin = types.WorkDoneProgressBegin(title=self._title, message=self._message(), cancellable=True)
            self._session.server.work_done_progress.begin(self.token, begin)

    def _report(self) -> None:
        if self._begun and not self._ended:
            self._reported = time.monotonic()
            report = types.WorkDoneProgressReport(message=self._message(), cancellable=True)
            self._session.server.work_done_progress.report(self.token, report)

    def _message(self) -> str | None:
        parts = [*self._notes, f"{self._tokens} tokens" if self._tokens else ""]
        return " · ".join(part for part in parts if part) or None


def cancel(session: Session, params: types.WorkDoneProgressCancelParams) -> None:
    """``window/workDoneProgress/cancel``: cancel the task and its calls."""
    scope = session.cancellable.get(str(params.token))
    if scope is not None:
        scope.cancel()
