"""The real server process with a model: how long until it is ready, and how much memory it takes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from lsprotocol import types
from pygls.lsp.client import BaseLanguageClient

from evaluation.places import Place
from evaluation.report import Figures

_PATIENCE = 600.0


class _Editor(BaseLanguageClient):
    def __init__(self) -> None:
        super().__init__("evaluation", "1")
        self.ready = asyncio.Event()

        @self.feature("cato/didChangeStatus")
        def _(status: Any) -> None:
            if status.message.startswith("Ready"):
                self.ready.set()

    @property
    def process(self) -> psutil.Process:
        server = self._server
        assert server is not None
        return psutil.Process(server.pid)

    async def complete(self, place: Place) -> None:
        """Open the place's file and ask for a completion there."""
        uri = f"file:///{place.path}"
        document = types.TextDocumentItem(uri, "python", 1, place.text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(document))
        before = place.text[: place.offset]
        params = types.InlineCompletionParams(
            types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
            types.TextDocumentIdentifier(uri),
            types.Position(before.count("\n"), len(place.line)),
        )
        await self.protocol.send_request_async(types.TEXT_DOCUMENT_INLINE_COMPLETION, params)


async def measure_server(folder: Path, places: Sequence[Place]) -> Figures:
    """Start a server as an editor does, with the default settings; complete at ``places`` once it is ready."""
    editor = _Editor()
    began = time.monotonic()
    await editor.start_io(sys.executable, "-m", "cato_lsp", "--standalone", "--model", str(folder))
    params = types.InitializeParams(capabilities=types.ClientCapabilities(), process_id=os.getpid())
    await editor.initialize_async(params)
    editor.initialized(types.InitializedParams())
    async with asyncio.timeout(_PATIENCE):
        await editor.ready.wait()
    ready, spent = time.monotonic() - began, editor.process.cpu_times()
    memory = editor.process.memory_info().rss
    for place in places:
        await editor.complete(place)
    later = editor.process.memory_info().rss
    await editor.shutdown_async(None)
    editor.exit(None)
    await editor.stop()
    return {
        "server ready after, seconds": ready,
        "… of them computing, seconds": spent.user + spent.system + spent.children_user + spent.children_system,
        "server's memory when ready, GB": memory / 1e9,
        "server's memory after completions, GB": later / 1e9,
    }
