"""The editor's side of the demo: one document, one cursor, and what a person sees of the answers."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled
from pygls.lsp.client import BaseLanguageClient

CAPABILITIES = types.ClientCapabilities(
    workspace=types.WorkspaceClientCapabilities(
        apply_edit=True, workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True)
    ),
    experimental={"catoPreview": True},
)


@dataclass
class Asked:
    """One request as the person saw it."""

    line: str
    ghost: str
    total: float
    cancelled: bool = False


class Editor(BaseLanguageClient):
    """The editor's side.

    :param file: the document that is open first.
    """

    def __init__(self, file: Path) -> None:
        super().__init__("cato-demo", "1")
        self.status = ""
        self.failed = False
        self.ready = asyncio.Event()
        self.uri = file.as_uri()
        self.version = 1
        self.lines = file.read_text(encoding="utf-8").split("\n")
        self.asked: list[Asked] = []
        self.assisted = asyncio.Event()
        self.result = ""

        @self.feature("cato/preview")
        def _(preview: Any) -> None:
            if preview.done and preview.kind == "translation":
                self.finish(preview.text)

        @self.feature(types.WORKSPACE_APPLY_EDIT)
        def _(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
            change = (params.edit.document_changes or [])[0]
            assert isinstance(change, types.TextDocumentEdit)
            self.finish("\n".join(edit.new_text for edit in change.edits if isinstance(edit, types.TextEdit)))
            return types.ApplyWorkspaceEditResult(applied=False, failure_reason="The demo only looks.")

        @self.feature(types.WINDOW_SHOW_MESSAGE)
        def _(params: types.ShowMessageParams) -> None:
            if not params.message.startswith("Cato: Done"):
                self.finish(params.message)

        @self.feature("cato/didChangeStatus")
        def _(status: Any) -> None:
            self.status = status.message
            self.failed = status.kind == "Error"
            if self.failed or status.message.startswith("Ready"):
                self.ready.set()

    def finish(self, result: str) -> None:
        """Take in what came of a command."""
        self.result = result
        self.assisted.set()

    async def start(self, command: str, line: int, end: int, *, uri: str = "", **more: str) -> None:
        """Run one of the server's commands on some lines."""
        self.assisted.clear()
        where = {"start": {"line": line, "character": 0}, "end": {"line": end, "character": 0}}
        params = types.ExecuteCommandParams(command, [{"uri": uri or self.uri, "range": where, **more}])
        await self.workspace_execute_command_async(params)

    async def begin(self, model: str | None) -> float:
        """Start the server; return the seconds that ``initialize`` took."""
        options = {"model": model} if model else {}
        await self.start_io(
            sys.executable, "-m", "cato_lsp", "--standalone", env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        params = types.InitializeParams(
            capabilities=CAPABILITIES,
            process_id=os.getpid(),
            initialization_options=options,
        )
        start = time.perf_counter()
        await self.initialize_async(params)
        took = time.perf_counter() - start
        self.initialized(types.InitializedParams())
        return took

    def open(self, path: Path, text: str) -> None:
        """Go to another document."""
        self.uri, self.version, self.lines = path.as_uri(), 1, text.split("\n")
        document = types.TextDocumentItem(self.uri, "python", 1, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(document))

    def insert(self, line: int, character: int, text: str) -> None:
        """Type at a place."""
        rest = self.lines[line]
        self.lines[line : line + 1] = (rest[:character] + text + rest[character:]).split("\n")
        self.version += 1
        at = types.Position(line, character)
        change = types.TextDocumentContentChangePartial(range=types.Range(at, at), text=text)
        document = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    async def ask(self, line: int, character: int, *, cancel_after: float | None = None) -> Asked:
        """Ask for a completion at a place, and perhaps think better of it."""
        number = f"demo-{len(self.asked)}"
        trigger = types.InlineCompletionTriggerKind.Automatic
        params = types.InlineCompletionParams(
            text_document=types.TextDocumentIdentifier(self.uri),
            position=types.Position(line, character),
            context=types.InlineCompletionContext(trigger),
        )
        start = time.perf_counter()
        answer = self.protocol.send_request_async(types.TEXT_DOCUMENT_INLINE_COMPLETION, params, msg_id=number)
        asked = Asked(self.lines[line][:character], "", 0.0)
        if cancel_after is not None:
            await asyncio.sleep(cancel_after)
            self.cancel_request(types.CancelParams(number))
        try:
            result = await answer
        except JsonRpcRequestCancelled:
            asked.cancelled = True
        else:
            if isinstance(result, types.InlineCompletionList) and result.items:
                item = result.items[0]
                assert item.range is not None
                asked.ghost = str(item.insert_text)[character - item.range.start.character :]
        asked.total = time.perf_counter() - start
        self.asked.append(asked)
        return asked
