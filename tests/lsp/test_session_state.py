"""What a window's process remembers of a session, message by message."""

from __future__ import annotations

from typing import Any

import pytest

from cato_lsp.lsp import session_state
from cato_lsp.lsp.frames import decode, encode
from cato_lsp.lsp.session_state import SessionState

URI = "file:///work.py"


def started() -> SessionState:
    """A session whose editor has greeted its server."""
    state = SessionState()
    assert list(state.replay()) == []
    state.served()
    say(state, "initialize", {"processId": 1}, number=0)
    state.from_server({"id": 0, "result": {"capabilities": {}}})
    say(state, "initialized", {})
    return state


def say(state: SessionState, method: str, params: Any, number: Any = None) -> list[dict[str, Any]]:
    """Send a message as the editor does; what the server gets."""
    message = {"method": method, "params": params, **({} if number is None else {"id": number})}
    return [decode(frame) for frame in state.from_editor(encode(message))]


def change(text: str, version: int = 2) -> dict[str, Any]:
    return {"textDocument": {"uri": URI, "version": version}, "contentChanges": [{"text": text}]}


def opened(text: str = "one\n") -> dict[str, Any]:
    return {"textDocument": {"uri": URI, "languageId": "python", "version": 1, "text": text}}


def methods(state: SessionState) -> list[str]:
    return [decode(frame)["method"] for frame in state.replay()]


def settled(state: SessionState) -> list[dict[str, Any]]:
    return [decode(frame) for frame in state.settle()]


def test_a_new_server_gets_what_made_the_session_in_order() -> None:
    state = started()
    say(state, "textDocument/didOpen", opened())
    say(state, "workspace/didChangeConfiguration", {"settings": 1})
    say(state, "workspace/didChangeConfiguration", {"settings": 2})
    say(state, "textDocument/didChange", change("two\n"))
    say(state, "workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": []}})
    assert settled(state) == []
    replayed = [decode(frame) for frame in state.replay()]
    assert [each["method"].rpartition("/")[2] for each in replayed] == [
        "initialize",
        "initialized",
        "didChangeWorkspaceFolders",
        "didChangeConfiguration",
        "didOpen",
        "didChange",
    ]
    assert replayed[3]["params"] == {"settings": 2}
    passes, _ = state.from_server({"id": replayed[0]["id"], "result": {}})
    assert not passes, "the editor's own initialize was answered long ago"


def test_it_is_known_how_the_editor_left() -> None:
    state = started()
    assert (state.shut_down, state.exited) == (False, False)
    say(state, "shutdown", None, number=1)
    assert (state.shut_down, state.exited) == (True, False)
    say(state, "exit", None)
    assert (state.shut_down, state.exited) == (True, True)


def test_a_closed_document_is_forgotten() -> None:
    state = started()
    say(state, "textDocument/didOpen", opened())
    say(state, "textDocument/didClose", {"textDocument": {"uri": URI}})
    assert methods(state) == ["initialize", "initialized"]


def test_open_requests_are_answered_once_and_later_ones_wait_for_the_next_server() -> None:
    state = started()
    say(state, "textDocument/inlineCompletion", {}, number=7)
    say(state, "codeAction/resolve", {}, number="eight")
    say(state, "cato/status", {}, number=9)
    state.from_server({"id": 9, "result": {}})
    answers = settled(state)
    assert [(each["id"], each["error"]["code"]) for each in answers] == [(7, -32801), ("eight", -32803)]
    assert settled(state) == []
    say(state, "cato/status", {}, number=10)
    say(state, "textDocument/didOpen", opened())
    assert methods(state) == ["initialize", "initialized", "textDocument/didOpen", "cato/status"]
    state.served()
    assert [each["id"] for each in settled(state)] == [10]
    assert methods(state) == ["initialize", "initialized", "textDocument/didOpen"]


def test_a_request_to_a_server_that_never_said_hello_is_for_the_next_one() -> None:
    state = started()
    settled(state)
    list(state.replay())  # to the socket of a process that is being killed
    say(state, "cato/status", {}, number=10)
    assert settled(state) == []
    assert methods(state) == ["initialize", "initialized", "cato/status"]
    state.served()
    assert state.from_server({"id": 10, "result": {}}) == (True, [])
    assert methods(state) == ["initialize", "initialized"]


def test_an_initialize_without_an_answer_is_answered_by_the_next_server() -> None:
    state = SessionState()
    list(state.replay())
    say(state, "initialize", {"processId": 1}, number=0)
    assert settled(state) == []
    (again,) = [decode(frame) for frame in state.replay()]
    assert again["id"] == 0
    assert state.from_server({"id": 0, "result": {}}) == (True, [])


def test_progress_that_a_server_has_begun_is_ended_for_it() -> None:
    state = started()
    for token, kind in (("a", "begin"), ("b", "begin"), ("a", "report"), ("a", "end")):
        state.from_server({"method": "$/progress", "params": {"token": token, "value": {"kind": kind}}})
    (end,) = settled(state)
    assert end["params"] == {"token": "b", "value": {"kind": "end"}}
    assert settled(state) == []


def test_an_answer_to_a_server_that_is_gone_is_dropped() -> None:
    state = started()
    assert state.from_server({"id": "x", "method": "workspace/configuration", "params": {}}) == (True, [])
    answer = encode({"id": "x", "result": [None]})
    assert settled(state) == []
    assert state.from_editor(answer) == []


def test_the_editor_is_asked_once_for_a_registration_and_shown_a_message_once() -> None:
    state = started()
    register = {"method": "client/registerCapability", "params": {"registrations": [{"id": "files"}]}}
    message = {"method": "window/showMessage", "params": {"type": 2, "message": "careful"}}
    assert state.from_server({"id": 1, **register}) == (True, [])
    assert state.from_server(message) == (True, [])
    settled(state)
    passes, (answer,) = state.from_server({"id": 2, **register})
    assert not passes
    assert decode(answer) == {"jsonrpc": "2.0", "id": 2, "result": None}
    assert state.from_server(message) == (False, [])
    unregister = {"method": "client/unregisterCapability", "params": {"unregisterations": [{"id": "files"}]}}
    assert state.from_server({"id": 3, **unregister}) == (True, [])
    assert state.from_server({"id": 4, **register}) == (True, [])


def test_long_changes_are_replaced_by_the_text_that_the_server_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_state, "_LONGEST_CHANGES", 300)
    state = started()
    say(state, "textDocument/didOpen", opened())
    asked: list[dict[str, Any]] = []
    for version in range(2, 9):
        asked += say(state, "textDocument/didChange", change("x" * 50, version))[1:]
    assert [each["params"] for each in asked] == [{"uri": URI}]
    item = {"uri": URI, "languageId": "python", "version": 4, "text": "x" * 50}
    assert state.from_server({"id": asked[0]["id"], "result": item}) == (False, [])
    documents = [decode(frame)["params"]["textDocument"] for frame in list(state.replay())[2:]]
    first, *rest = documents
    assert first == item
    assert [each["version"] for each in rest] == list(range(9 - len(rest), 9))
    assert 0 < len(rest) < 7


@pytest.mark.parametrize(
    "frame", [b"\r\n\r\nnonsense", b"\r\n\r\n[]", b"\r\n\r\n{}", encode({"id": [1], "method": "x"})]
)
def test_every_message_of_the_editor_is_forwarded_to_the_server(frame: bytes) -> None:
    assert started().from_editor(frame) == [frame]
