"""What an editor shows is short, and says what happened and what to do."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from lsprotocol import types

from cato_lsp.config import EngineSettings, Layer
from cato_lsp.engine.api import EngineUnavailableError
from cato_lsp.engine.host import EngineHost, EnginePhase, EngineStatus
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.thread import cause_of
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.documents import Document
from cato_lsp.lsp.messages import brief
from cato_lsp.lsp.server import listen
from cato_lsp.lsp.session import Session
from tests.lsp.wire import Wire, change

pytestmark = pytest.mark.anyio

COMPILER = "\n".join(f"/usr/include/header.hpp:{number}: error: no such thing" for number in range(100))


def test_a_text_of_many_or_long_lines_is_cut_to_two_readable_ones() -> None:
    assert brief("one\n\n  two \nthree") == "one\ntwo"
    assert len(brief("x" * 5000)) == 300
    assert brief("It failed. Do this.") == "It failed. Do this."


def test_the_cause_of_an_error_is_one_line() -> None:
    assert cause_of(RuntimeError(f"CppCompileError\n{COMPILER}")) == "RuntimeError: CppCompileError"
    assert cause_of(KeyError()) == "KeyError"
    assert len(cause_of(RuntimeError("x" * 5000))) == 200


async def served(backend: Backend, overrides: Layer | None = None) -> Any:
    return await listen(backend, "127.0.0.1", 0, overrides)


async def test_compiler_output_never_reaches_a_message_box() -> None:
    backend = Backend()
    async with await served(backend, Layer("tests", {"model": "/no/such/model"})) as server:
        wire = await Wire.connect(server.sockets[0].getsockname()[1])
        await wire.initialize()
        await wire.hear(lambda told: told.get("params", {}).get("kind") == "Error")
        error = EngineUnavailableError(f"vLLM could not start: {COMPILER}", "Run `cato-lsp doctor`.")
        backend.host.refuse(error)
        told = await wire.hear(lambda told: "vLLM could not" in str(told.get("params", {}).get("message")))
        shown = await wire.hear(lambda told: told.get("method") == "window/showMessage" and "vLLM" in str(told))
        for text in (told["params"]["message"], shown["params"]["message"]):
            assert text.count("\n") <= 1
            assert len(text) <= 601
        wire.close()


async def test_an_error_of_ours_is_answered_briefly_and_logged_with_its_traceback_without_code(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    code = "password = 'hunter" + "2'"

    def fail(_session: Session, _params: Any) -> None:
        raise KeyError(code)

    monkeypatch.setattr("cato_lsp.lsp.features.FEATURES", features_with(types.TEXT_DOCUMENT_CODE_ACTION, fail))
    caplog.set_level(logging.INFO)
    async with await served(Backend()) as server:
        wire = await Wire.connect(server.sockets[0].getsockname()[1])
        await wire.initialize()
        where = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
        params = {"textDocument": {"uri": "file:///a.py"}, "range": where, "context": {"diagnostics": []}}
        error = (await wire.answer(wire.ask("textDocument/codeAction", params)))["error"]
        assert error == {"code": -32603, "message": "The request failed in the server; the cause is in its log."}
        wire.close()
    assert "in fail" in caplog.text
    assert "hunter2" not in caplog.text


def features_with(method: str, handler: Any) -> list[Any]:
    from cato_lsp.lsp.features import FEATURES

    return [each._replace(handler=handler) if each.method == method else each for each in FEATURES]


@pytest.mark.parametrize("language", [None, 1])
async def test_a_document_without_a_language_costs_one_line_of_the_log(
    language: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with await served(Backend()) as server:
        wire = await Wire.connect(server.sockets[0].getsockname()[1])
        await wire.initialize()
        caplog.clear()
        document = {"uri": "file:///a.py", "languageId": language, "version": 1, "text": ""}
        wire.notify("textDocument/didOpen", {"textDocument": document})
        await wire.status()
        logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        wire.close()
    assert logged == ["Invalid parameters for textDocument/didOpen"]


async def test_the_registrations_of_pygls_are_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Session(Backend())
    assert "Registered" not in caplog.text


async def test_an_edit_that_cannot_be_applied_drops_the_document_with_a_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    code = "sec" + "ret"

    def fail(_document: Document, _version: int, _changes: Any) -> None:
        raise IndexError(code)

    backend = Backend()
    async with await served(backend) as server:
        wire = await Wire.connect(server.sockets[0].getsockname()[1])
        await wire.initialize()
        wire.open("x = 1\n")
        with monkeypatch.context() as patch:
            patch.setattr(Document, "change", fail)
            wire.notify("textDocument/didChange", change(2, (0, 0), (0, 0), "y"))
            shown = await wire.told("window/showMessage")
        assert "Close and reopen the file" in shown["params"]["message"]
        assert await wire.complete(0, 1) == {"items": []}
        wire.close()
    assert "IndexError" in caplog.text
    assert "secret" not in "".join(record.getMessage() for record in caplog.records)


async def test_ready_names_the_model_that_was_loaded_and_not_the_one_wanted_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine's thread is a stand-in: what is shown is the host's, and two models would take minutes to load."""
    loading, go_on = threading.Event(), anyio.Event()

    class Thread:
        def __init__(self, launch: Launch, on_stage: Any) -> None:
            self.closed = anyio.Event()

        async def start(self) -> None:
            loading.set()
            await go_on.wait()

        async def wait_closed(self) -> None:
            await self.closed.wait()

        def stop(self) -> None:
            self.closed.set()

    monkeypatch.setattr("cato_lsp.engine.host.EngineThread", Thread)
    host = EngineHost()
    heard: list[EngineStatus] = []
    host.watch(heard.append)
    async with anyio.create_task_group() as group:
        group.start_soon(host.run)
        host.configure(Launch(Path("/cache/snapshots/0a1b2c"), EngineSettings(), "Some/Coder"))
        while not loading.is_set():
            await anyio.lowlevel.checkpoint()
        host.configure(Launch(Path("/models/other"), EngineSettings()))
        go_on.set()
        while len([status for status in heard if status.phase is EnginePhase.READY]) < 2:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    ready = [status.message for status in heard if status.phase is EnginePhase.READY]
    assert ready == ["Some/Coder", "other"]
