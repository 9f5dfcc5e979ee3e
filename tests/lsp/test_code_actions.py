"""Code actions and commands over the wire, with the live engine and the bundled model."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from lsprotocol import types

from cato_lsp.engine.api import Call
from cato_lsp.lsp import progress
from cato_lsp.lsp.assist import Assist, Request, scratch_name
from cato_lsp.lsp.backend import Backend
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.symbols import syntax_errors
from tests.conftest import last_record, next_record
from tests.lsp.conftest import calls_of_the_newest_window
from tests.lsp.wire import Wire, change, request

pytestmark = pytest.mark.anyio

URI = "file:///work.py"
CODE = '''import os


def total(values):
    result = 0
    for value in values:
        result += value
    return result


def read_lines(path):
    """Return the lines of a text file without their line ends."""
    pass
'''
FULL: dict[str, Any] = {
    "textDocument": {
        "codeAction": {
            "resolveSupport": {"properties": ["edit"]},
            "dataSupport": True,
            "tagSupport": {"valueSet": [1]},
        }
    },
    "workspace": {"workspaceEdit": {"documentChanges": True}, "applyEdit": True},
    "window": {"workDoneProgress": True, "showDocument": {"support": True}},
}


def span(first: tuple[int, int], last: tuple[int, int] | None = None) -> dict[str, Any]:
    points = [{"line": line, "character": character} for line, character in (first, last or first)]
    return {"start": points[0], "end": points[1]}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def modes(path: Path) -> tuple[int, int]:
    """Permissions of the folder and of the file."""
    return stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode)


async def offers(wire: Wire, where: dict[str, Any], only: list[str] | None = None) -> list[dict[str, Any]]:
    context = {"diagnostics": [], **({"only": only} if only else {})}
    params = {"textDocument": {"uri": URI}, "range": where, "context": context}
    return await wire.call("textDocument/codeAction", params)


async def offer(wire: Wire, where: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(each for each in await offers(wire, where) if each["kind"].endswith(kind))


def applied(text: str, edit: dict[str, Any]) -> str:
    """The document after a workspace edit with one change (ASCII only)."""
    (document,) = edit["documentChanges"]
    (change,) = document["edits"]
    lines = text.split("\n")

    def offset(position: dict[str, int]) -> int:
        return sum(len(line) + 1 for line in lines[: position["line"]]) + position["character"]

    start, end = offset(change["range"]["start"]), offset(change["range"]["end"])
    return text[:start] + change["newText"] + text[end:]


async def accept_progress(wire: Wire) -> str:
    """Agree to the progress that the server creates; return its token."""
    asked = await wire.told("window/workDoneProgress/create")
    wire.send({"jsonrpc": "2.0", "id": asked["id"], "result": None})
    return asked["params"]["token"]


async def test_actions_are_offered_without_a_model_call(wire: Wire, backend: Backend, submitted: list[Call]) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    kinds = {each["kind"]: each for each in await offers(wire, span((10, 4)))}
    assert set(kinds) == {"refactor.rewrite.cato.generate", "refactor.rewrite.cato.document"}
    assert all(each["tags"] == [1] and "edit" not in each for each in kinds.values())
    selected = {each["kind"].rpartition(".")[2] for each in await offers(wire, span((3, 0), (7, 17)))}
    assert {"document", "explain"} <= selected
    assert "generate" not in selected
    assert {each["kind"] for each in await offers(wire, span((10, 4)), ["refactor.rewrite.cato.document"])} == {
        "refactor.rewrite.cato.document"
    }
    assert await offers(wire, span((10, 4)), ["quickfix"]) == []
    assert not calls_of_the_newest_window(backend, submitted)


async def test_a_client_without_resolve_or_tags_gets_commands(wire: Wire) -> None:
    await wire.initialize()
    wire.open(CODE)
    for action in await offers(wire, span((10, 4))):
        assert "tags" not in action
        assert action["command"]["arguments"][0]["uri"] == URI
    actions = await offers(wire, span((3, 0), (7, 17)))
    (translate,) = (each for each in actions if each["title"] == "Cato: Translate the selection to JavaScript")
    assert translate["command"]["arguments"][0]["language"] == "javascript"


async def test_resolving_documents_a_function_with_a_versioned_edit(wire: Wire) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    action = await offer(wire, span((3, 4)), "document")
    resolved = await wire.call("codeAction/resolve", action)
    task = (await wire.status())["tasks"][-1]
    assert task["kind"] == "summarization"
    if "edit" not in resolved:  # the model may have nothing to say
        assert task["outcome"] == "empty"
        return
    assert resolved["edit"]["documentChanges"][0]["textDocument"] == {"uri": URI, "version": 1}
    text = applied(CODE, resolved["edit"])
    assert text.startswith('import os\n\n\ndef total(values):\n    """')
    assert text.endswith(CODE[CODE.index("    result = 0") :])
    assert not syntax_errors(text, "python")


async def test_resolving_generates_a_body_that_parses_or_is_marked(wire: Wire) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    action = await offer(wire, span((10, 4)), "generate")
    resolved = await wire.call("codeAction/resolve", action)
    task = (await wire.status())["tasks"][-1]
    assert task["kind"] == "generation"
    if "edit" in resolved:
        text = applied(CODE, resolved["edit"])
        assert text.startswith(CODE[: CODE.index("    pass")])
        marked = any("not verified" in str(message) for message in wire.heard)
        assert marked or not syntax_errors(text, "python")
    else:
        assert task["outcome"] == "empty"


async def test_an_action_of_an_older_version_is_content_modified(wire: Wire) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    action = await offer(wire, span((3, 4)), "document")
    wire.notify("textDocument/didChange", change(2, (0, 0), (0, 0), "# new\n"))
    response = await wire.answer(wire.ask("codeAction/resolve", action))
    assert response["error"]["code"] == -32801
    assert (await wire.status())["tasks"] == []


async def test_an_edit_while_an_action_is_worked_out_is_content_modified(wire: Wire) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    action = await offer(wire, span((3, 4)), "document")
    wire.send(
        request("late", "codeAction/resolve", action),
        {
            "jsonrpc": "2.0",
            "method": "textDocument/didChange",
            "params": change(2, (0, 0), (0, 0), "# new\n"),
        },
    )
    response = await wire.hear(lambda message: message.get("id") == "late" and "method" not in message)
    assert response["error"]["code"] == -32801


async def test_cancelling_the_progress_of_an_action_reaches_the_engine(wire: Wire) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    action = await offer(wire, span((10, 4)), "generate")
    number = wire.ask("codeAction/resolve", action)
    token = (await wire.told("window/workDoneProgress/create"))["params"]["token"]
    wire.notify("window/workDoneProgress/cancel", {"token": token})
    response = await wire.answer(number)
    assert "edit" not in response["result"]
    task = (await wire.status())["tasks"][-1]
    assert task["outcome"] == "cancelled"
    assert task["usage"]["tokens_after_cancel"] == 0


async def test_cancelling_the_request_of_an_action_reaches_the_engine(wire: Wire) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    number = wire.ask("codeAction/resolve", await offer(wire, span((10, 4)), "generate"))
    await wire.told("window/workDoneProgress/create")
    wire.notify("$/cancelRequest", {"id": number})
    assert (await wire.answer(number))["error"]["code"] == -32800
    task = (await wire.status())["tasks"][-1]
    assert task["outcome"] == "cancelled"
    assert task["usage"]["tokens_after_cancel"] == 0


async def test_a_command_answers_with_its_progress_token_and_then_edits(wire: Wire) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    arguments = [{"uri": URI, "range": span((3, 4))}]
    token = await wire.call("workspace/executeCommand", {"command": "cato.summarize", "arguments": arguments})
    assert await accept_progress(wire) == token
    values = []
    while not values or values[-1]["kind"] != "end":
        values.append((await wire.told("$/progress"))["params"]["value"])
    assert values[0]["kind"] == "begin"
    assert values[0]["cancellable"]
    if values[-1]["message"] == "Done":
        asked = await wire.told("workspace/applyEdit")
        wire.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"applied": True}})
        assert not syntax_errors(applied(CODE, asked["params"]["edit"]), "python")


async def test_a_translation_grows_in_the_preview_and_is_done_once(wire: Wire) -> None:
    await wire.initialize(**FULL, experimental={"catoPreview": True})
    wire.open(CODE)
    arguments = [{"uri": URI, "language": "javascript"}]
    token = await wire.call("workspace/executeCommand", {"command": "cato.translate", "arguments": arguments})
    previews = [(await wire.told("cato/preview"))["params"]]
    while not previews[-1]["done"]:
        previews.append((await wire.told("cato/preview"))["params"])
    await wire.status()
    assert not [message for message in wire.heard if message.get("method") == "cato/preview"]
    last = previews[-1]
    assert (last["id"], last["kind"], last["language"], last["uri"]) == (token, "translation", "javascript", URI)
    assert last["range"]["start"] == {"line": 0, "character": 0}
    assert "// import os" in last["text"]
    assert last["unverified"] is True  # an import cannot be translated by the bundled model
    assert not [message for message in wire.heard if message.get("method") == "window/showDocument"]
    task = (await wire.status())["tasks"][-1]
    assert task["kind"] == "translation"
    assert task["calls"] >= 2


async def test_the_progress_shows_omitted_parts_and_the_number_of_tokens(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    await wire.initialize(**FULL, experimental={"catoPreview": True})
    wire.open(CODE)
    arguments = [{"uri": URI, "language": "javascript"}]
    await wire.call("workspace/executeCommand", {"command": "cato.translate", "arguments": arguments})
    await accept_progress(wire)
    messages: list[str] = []
    while not messages or not messages[-1].startswith("Done"):
        messages.append((await wire.told("$/progress"))["params"]["value"].get("message") or "")
    assert any("The model can translate 2 of 3 parts; the others become comments." in each for each in messages)
    assert any(each.endswith(" tokens") for each in messages)
    assert messages[-1] == "Done, but not verified: please check it", "an import is never translated by it"


async def test_without_previews_an_explanation_is_shown_in_a_private_file(wire: Wire) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    arguments = [{"uri": URI, "range": span((3, 0), (7, 17))}]
    await wire.call("workspace/executeCommand", {"command": "cato.explain", "arguments": arguments})
    asked = await wire.told("window/showDocument")
    path = Path(unquote(urlsplit(asked["params"]["uri"]).path))
    wire.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"success": True}})
    assert read(path).startswith("# work.py\n")
    assert modes(path) == (0o700, 0o600)
    await wire.call("shutdown")
    wire.notify("exit")
    await wire.until_end()
    assert not os.path.exists(path)  # noqa: ASYNC240


async def test_closing_the_connection_ends_a_command_in_the_engine(wire: Wire, backend: Backend) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    last = last_record(backend)
    await wire.call(
        "workspace/executeCommand",
        {"command": "cato.translate", "arguments": [{"uri": URI, "language": "javascript"}]},
    )
    wire.close()
    task = await next_record(backend, last)
    assert task.outcome == "cancelled"
    assert task.usage.tokens_after_cancel == 0


@pytest.mark.parametrize(
    ("command", "arguments", "code"),
    [
        ("cato.generate", [], -32602),
        ("cato.generate", [{"uri": 5}], -32602),
        ("cato.generate", [{"uri": "file:///not-open.py"}], -32803),
        ("cato.translate", [{"uri": URI}], -32602),
        ("cato.explain", [{"uri": URI, "range": {"start": 1}}], -32602),
    ],
)
async def test_a_command_that_cannot_be_run_says_why(wire: Wire, command: str, arguments: list[Any], code: int) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    response = await wire.answer(wire.ask("workspace/executeCommand", {"command": command, "arguments": arguments}))
    assert response["error"]["code"] == code
    assert response["error"]["message"]


async def test_what_the_model_cannot_translate_is_refused_with_a_reason(wire: Wire) -> None:
    await wire.initialize(**FULL)
    wire.open(CODE)
    await wire.call(
        "workspace/executeCommand", {"command": "cato.translate", "arguments": [{"uri": URI, "language": "go"}]}
    )
    message = (await wire.told("window/showMessage"))["params"]["message"]
    assert "cannot translate Python to Go" in message


@pytest.mark.parametrize("name", [".env", "id_rsa", "server.pem"])
async def test_a_secret_file_is_offered_nothing_and_completes_nothing(
    wire: Wire, name: str, backend: Backend, submitted: list[Call]
) -> None:
    await wire.initialize(**FULL)
    uri = f"file:///home/person/{name}"
    wire.open(CODE, uri)
    params = {"textDocument": {"uri": uri}, "range": span((3, 4)), "context": {"diagnostics": []}}
    assert await wire.call("textDocument/codeAction", params) == []
    assert await wire.complete(6, 18, uri) == {"items": []}
    response = await wire.answer(
        wire.ask("workspace/executeCommand", {"command": "cato.explain", "arguments": [{"uri": uri}]})
    )
    assert "excluded" in response["error"]["message"]
    assert not calls_of_the_newest_window(backend, submitted)


async def test_scratch_names_hold_no_separators() -> None:
    where = types.Range(types.Position(0, 0), types.Position(0, 0))
    for uri in ("file:///a/%2e%2e%2fb.py", "untitled:../x", "file:///"):
        name = scratch_name(Request(Assist.EXPLAIN, Snapshot(uri, "python", 1, ""), where, 0, 0))
        assert os.sep not in name
        assert name
