"""Bad input gets a clear answer, and nobody else notices."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from cato_lsp.engine.api import Call
from cato_lsp.engine.host import EnginePhase
from cato_lsp.lsp.backend import Backend
from tests.conftest import phase
from tests.lsp.conftest import calls_of_the_newest_window
from tests.lsp.wire import Wire, completion, frame, notification, request

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "body",
    [b"", b"{not json", b"[]", b'"text"', b"\xff\xfe", b'{"id": 1, "method": "cato/status"}'],
    ids=["empty", "broken", "array", "string", "not utf-8", "no jsonrpc"],
)
async def test_an_invalid_message_gets_a_parse_error_and_the_session_continues(wire: Wire, body: bytes) -> None:
    await wire.initialize()
    wire.send_bytes(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    assert (await wire.answer(None))["error"]["code"] == -32700
    assert (await wire.status())["engine"]["phase"] == "ready"


async def test_headers_that_are_not_understood_are_skipped(wire: Wire) -> None:
    wire.send_bytes(b"X-Nonsense: 1\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n")
    await wire.initialize()
    assert (await wire.status())["live"] == 0


async def test_parameters_of_the_wrong_shape_are_answered_as_such(wire: Wire) -> None:
    await wire.initialize()
    number = wire.ask("textDocument/inlineCompletion", {"position": "here"})
    error = (await wire.answer(number))["error"]
    assert error["code"] == -32602
    assert "textDocument/inlineCompletion" in error["message"]


async def test_an_unknown_method_is_answered_as_such_and_an_unknown_notification_is_ignored(wire: Wire) -> None:
    await wire.initialize()
    wire.notify("cato/nonsense")
    assert (await wire.answer(wire.ask("cato/nonsense")))["error"]["code"] == -32601


async def test_a_request_of_ours_may_go_without_params(wire: Wire) -> None:
    await wire.initialize()
    wire.send({"jsonrpc": "2.0", "id": "bare", "method": "cato/status"})
    assert "result" in await wire.hear(lambda message: message.get("id") == "bare")


async def test_a_request_before_initialize_is_refused(wire: Wire) -> None:
    assert (await wire.answer(wire.ask(*completion(0, 0))))["error"]["code"] == -32002


async def test_initialize_twice_is_refused(wire: Wire) -> None:
    await wire.initialize()
    number = wire.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
    assert (await wire.answer(number))["error"]["code"] == -32600


async def test_after_shutdown_requests_are_refused_and_exit_ends_the_session(wire: Wire) -> None:
    await wire.initialize()
    await wire.call("shutdown")
    assert (await wire.answer(wire.ask("cato/status")))["error"]["code"] == -32600
    wire.notify("exit")
    await wire.until_end()


async def test_the_end_of_one_session_leaves_the_others_alone(wire: Wire, port: int) -> None:
    other = await Wire.connect(port)
    await other.initialize()
    await wire.initialize()
    await other.call("shutdown")
    other.notify("exit")
    await other.until_end()
    assert (await wire.status())["engine"]["phase"] == "ready"


async def test_sessions_do_not_see_each_others_documents(wire: Wire, port: int) -> None:
    other = await Wire.connect(port)
    await other.initialize()
    await wire.initialize()
    other.open("secret = 1\n")
    assert await wire.complete(0, 10) == {"items": []}
    assert (await wire.status())["tasks"] == []
    other.close()


async def test_a_change_of_a_document_that_is_not_open_is_ignored(wire: Wire) -> None:
    await wire.initialize()
    document: Any = {"textDocument": {"uri": "file:///none.py", "version": 2}, "contentChanges": [{"text": "x"}]}
    wire.notify("textDocument/didChange", document)
    wire.notify("textDocument/didClose", {"textDocument": {"uri": "file:///none.py"}})
    assert (await wire.status())["live"] == 0


async def test_wrong_settings_are_named_and_the_right_ones_hold(wire: Wire) -> None:
    await wire.initialize(options={"completion": {"maxLines": "many", "debounceMs": 0}, "modle": "x"})
    shown = [(await wire.told("window/showMessage"))["params"]["message"] for _ in range(2)]
    assert any("completion.max_lines" in text and "at least 1" in text for text in shown)
    assert any("modle" in text and "did you mean model?" in text for text in shown)


async def test_settings_are_pulled_again_after_did_change_configuration(wire: Wire) -> None:
    await wire.initialize(workspace={"configuration": True, "didChangeConfiguration": {"dynamicRegistration": True}})
    registered = await wire.told("client/registerCapability")
    assert registered["params"]["registrations"][0]["method"] == "workspace/didChangeConfiguration"
    wire.send({"jsonrpc": "2.0", "id": registered["id"], "result": None})
    for enabled, message in ((True, "Ready"), (False, "Completion is switched off")):
        pulled = await wire.told("workspace/configuration")
        assert pulled["params"]["items"][0]["section"] == "cato"
        wire.send({"jsonrpc": "2.0", "id": pulled["id"], "result": [{"completion": {"enabled": enabled}}]})
        await wire.hear(lambda told, message=message: message in str(told.get("params")))
        wire.notify("workspace/didChangeConfiguration", {"settings": None})


async def test_settings_pushed_by_the_client_hold(wire: Wire) -> None:
    await wire.initialize()
    wire.notify("workspace/didChangeConfiguration", {"settings": {"cato": {"completion": {"enabled": False}}}})
    await wire.hear(lambda told: "switched off" in str(told.get("params")))


async def test_a_workspace_folder_brings_its_cato_toml(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "cato.toml").write_text("[completion]\nenabled = false\n")
    await wire.initialize()
    folder = {"uri": tmp_path.as_uri(), "name": "work"}
    wire.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [folder], "removed": []}})
    await wire.hear(lambda told: "switched off" in str(told.get("params")))


async def test_a_document_that_the_settings_exclude_is_not_used_before_they_hold(
    wire: Wire, backend: Backend, submitted: list[Call]
) -> None:
    options = {"disabledGlobs": ["**/*.py"], "completion": {"warmUp": True}}
    await wire.call(
        "initialize", {"processId": None, "rootUri": None, "initializationOptions": options, "capabilities": {}}
    )
    document = {"uri": "file:///hidden.py", "languageId": "python", "version": 1, "text": "import os\nimport "}
    wire.send(
        notification("initialized", {}),
        notification("textDocument/didOpen", {"textDocument": document}),
        request("early", *completion(1, 7, "file:///hidden.py")),
    )
    response = await wire.hear(lambda message: message.get("id") == "early")
    assert response["result"] == {"items": []}
    assert not calls_of_the_newest_window(backend, submitted)


async def test_a_model_that_cannot_start_is_an_error_status_until_the_settings_are_right(
    wire: Wire, backend: Backend, tmp_path: Path
) -> None:
    await wire.initialize(window={"workDoneProgress": True})
    await wire.status()  # its settings have been applied
    launch = backend.host.launch
    assert launch is not None
    backend.host.configure(type(launch)(tmp_path / "nowhere", launch.settings))
    error = await wire.hear(lambda told: told.get("params", {}).get("kind") == "Error")
    assert "no model folder" in error["params"]["message"]
    assert "Set `model`" in error["params"]["message"]
    assert not error["params"]["busy"]
    wire.open("x = 1\n")
    assert await wire.complete(0, 5) == {"items": []}
    assert (await wire.status())["tasks"][-1]["outcome"] == "unavailable"

    backend.host.configure(launch)
    await phase(backend, EnginePhase.READY)
    ready = await wire.hear(lambda told: str(told.get("params", {}).get("message", "")).startswith("Ready"))
    assert ready["params"] == {"busy": False, "message": f"Ready: {launch.model_name}", "kind": "Normal"}


async def test_loading_is_reported_as_progress(wire: Wire, backend: Backend) -> None:
    await wire.initialize(window={"workDoneProgress": True})
    await wire.status()
    launch = backend.host.launch
    assert launch is not None
    quicker = launch.settings.model_copy(update={"kv_cache_gb": 0.2})
    backend.host.configure(type(launch)(launch.model, quicker))
    created = await wire.told("window/workDoneProgress/create")
    wire.send({"jsonrpc": "2.0", "id": created["id"], "result": None})
    kinds: list[str] = []
    while "end" not in kinds:
        progress = (await wire.told("$/progress"))["params"]
        assert progress["token"] == created["params"]["token"]
        kinds.append(progress["value"]["kind"])
    assert kinds[0] == "begin"
    backend.host.configure(launch)
    await phase(backend, EnginePhase.LOADING)
    await phase(backend, EnginePhase.READY)


async def test_no_user_code_reaches_the_log(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await wire.initialize()
    secret = "password_of_the_customer = 'hunter2'"
    wire.open(f"{secret}\n")
    await wire.complete(0, len(secret))
    bad = request(99, "textDocument/inlineCompletion", {"position": secret})
    wire.send(bad, notification("textDocument/didOpen", {"textDocument": secret}))
    wire.send_bytes(frame(bad)[:-5] + b"hunter2")
    await wire.answer(99)
    await wire.answer(None)
    assert "hunter2" not in caplog.text
    assert "password_of_the_customer" not in caplog.text
