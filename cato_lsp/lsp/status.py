"""The server's status in the editor: ``cato/didChangeStatus``, the progress of loading, and messages."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from enum import StrEnum

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from cato_lsp.engine.host import EngineHost, EnginePhase, EngineStatus
from cato_lsp.lsp.messages import brief

DID_CHANGE_STATUS = "cato/didChangeStatus"
"""Notification ``{busy, message, kind}``; the fields are those of GitHub Copilot's ``didChangeStatus``."""


class StatusKind(StrEnum):
    """The severity of the status, for its color and icon in the editor."""

    NORMAL = "Normal"
    WARNING = "Warning"
    ERROR = "Error"
    INACTIVE = "Inactive"


class StatusReporter:
    """Reports the engine's status to one client. Equal statuses are sent once."""

    def __init__(self, server: LanguageServer, host: EngineHost) -> None:
        self._server = server
        self._host = host
        self.completion_enabled = True
        """Whether completion is enabled in the settings."""
        self._last: tuple[bool, str, StatusKind] | None = None
        self._token: str | None = None
        self._begun = False
        self._stage = ""
        self._warned: set[str] = set()
        self._problems: set[str] = set()
        self._unwatch: Callable[[], None] | None = None

    def open(self) -> None:
        """Start to report. Call it when the client is initialized."""
        if self._unwatch is None:
            self._unwatch = self._host.watch(self.engine_changed)

    def close(self) -> None:
        """Stop to report."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def engine_changed(self, status: EngineStatus) -> None:
        """Report the engine's status."""
        match status.phase:
            case EnginePhase.IDLE:
                self._tell(False, "Waiting for settings", StatusKind.INACTIVE)
            case EnginePhase.LOADING:
                self._tell(True, status.message, StatusKind.NORMAL)
                self._report_progress(status.message)
            case EnginePhase.READY:
                self._end_progress(f"{status.message} is ready")
                if self.completion_enabled:
                    # A running engine with a remedy is a fallback for another one.
                    kind = StatusKind.WARNING if status.remedy else StatusKind.NORMAL
                    self._tell(False, f"Ready: {status.message}", kind)
                else:
                    self._tell(False, "Completion is switched off", StatusKind.INACTIVE)
            case EnginePhase.FAILED:
                self._end_progress("The engine could not start")
                text = brief(f"{status.message}\n{status.remedy}")
                self._tell(False, text, StatusKind.ERROR)
                self._show(text, types.MessageType.Error)

    def refresh(self) -> None:
        """Report again after a change of settings."""
        if self._unwatch is not None:
            self.engine_changed(self._host.status)

    def warn(self, text: str) -> None:
        """Show a warning, once."""
        self._show(text, types.MessageType.Warning)

    def warn_of(self, problems: Sequence[str]) -> None:
        """Show each current problem once. A problem that was solved and occurs again is shown again."""
        self._warned -= self._problems - set(problems)
        self._problems = set(problems)
        for problem in problems:
            self.warn(problem)

    def stopped(self, why: str) -> None:
        """Show why the server ends."""
        self._tell(False, why, StatusKind.INACTIVE)
        self._show(why, types.MessageType.Info)

    def _tell(self, busy: bool, message: str, kind: StatusKind) -> None:
        if (busy, message, kind) != self._last:
            self._last = (busy, message, kind)
            params = {"busy": busy, "message": message, "kind": kind.value}
            self._server.protocol.notify(DID_CHANGE_STATUS, params)

    def _show(self, text: str, kind: types.MessageType) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._server.window_show_message(types.ShowMessageParams(kind, text))

    def _report_progress(self, stage: str) -> None:
        window = self._server.client_capabilities.window
        if window is None or not window.work_done_progress:
            return
        self._stage = stage
        if self._token is None:
            token = self._token = str(uuid.uuid4())
            created = types.WorkDoneProgressCreateParams(token=token)
            self._server.protocol.send_request(
                types.WINDOW_WORK_DONE_PROGRESS_CREATE, created, lambda _result: self._begin_progress(token)
            )
        elif self._begun:
            report = types.WorkDoneProgressReport(message=stage)
            self._server.work_done_progress.report(self._token, report)

    def _begin_progress(self, token: str) -> None:
        if token == self._token:
            self._begun = True
            begin = types.WorkDoneProgressBegin(title="Cato", message=self._stage, cancellable=False)
            self._server.work_done_progress.begin(token, begin)

    def _end_progress(self, message: str) -> None:
        if self._token is not None and self._begun:
            end = types.WorkDoneProgressEnd(message=message)
            self._server.work_done_progress.end(self._token, end)
        self._token, self._begun = None, False
