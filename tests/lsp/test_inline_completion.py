"""Inline completion over the wire, with the live engine and the bundled model."""

from __future__ import annotations

import anyio
import pytest

from cato_lsp.lsp.backend import Backend
from tests.conftest import last_record, next_record
from tests.lsp.wire import Wire, change, completion, fixture_text, notification, request

pytestmark = pytest.mark.anyio

CODE = """\
import os


def total(values):
    result = 0
    for value in values:
        result +=
    return result
"""


async def test_the_capability_is_announced(wire: Wire) -> None:
    result = await wire.initialize(encoding="utf-8")
    assert result["capabilities"]["inlineCompletionProvider"] == {}
    assert result["capabilities"]["textDocumentSync"]["change"] == 2
    assert result["capabilities"]["positionEncoding"] == "utf-8"


async def test_a_completion_fits_the_text_before_it(wire: Wire) -> None:
    await wire.initialize()
    text = fixture_text("textwrap.py")
    wire.open(text)
    lines = text.split("\n")
    shown = 0
    for line in range(60, 400, 20):
        column = len(lines[line]) * 2 // 3
        for item in (await wire.complete(line, column))["items"]:
            start, end = item["range"]["start"], item["range"]["end"]
            assert start["line"] == end["line"] == line
            assert start["character"] <= column <= end["character"]
            typed = lines[line][start["character"] : column]
            assert item["insertText"].startswith(typed)
            assert len(item["insertText"]) > len(typed)
            shown += 1
    assert shown > 0


async def test_nothing_to_show_is_an_empty_list_tabnine_nvim_22_vscode_235977(wire: Wire) -> None:
    await wire.initialize()
    wire.open(CODE)
    assert await wire.complete(6, 3, "file:///not-open.py") == {"items": []}
    assert await wire.complete(0, 4, invoked=False) == {"items": []}  # inside of a word


async def test_typing_on_a_line_reuses_the_prefix_cache(wire: Wire) -> None:
    await wire.initialize()
    text = fixture_text("textwrap.py")
    wire.open(text)
    line = next(n for n, each in enumerate(text.split("\n")) if each.startswith("    def _split("))
    typed = "        chunks = "
    wire.notify("textDocument/didChange", change(2, (line + 1, 0), (line + 1, 0), typed + "\n"))
    await wire.complete(line + 1, len(typed))
    wire.notify("textDocument/didChange", change(3, (line + 1, len(typed)), (line + 1, len(typed)), "self"))
    await wire.complete(line + 1, len(typed) + 4)
    task = (await wire.status())["tasks"][-1]
    assert task["cached_tokens"] >= 0.9 * task["prompt_tokens"] - 32 * task["calls"], task
    assert task["usage"]["tokens_computed"] <= task["prompt_tokens"] - task["cached_tokens"] + task["answer_tokens"] + 1


async def test_a_newer_request_supersedes_the_older_one_with_an_empty_list(wire: Wire) -> None:
    await wire.initialize()
    wire.open(CODE)
    wire.send(
        request("old", *completion(6, 17)),
        notification("textDocument/didChange", change(2, (6, 17), (6, 17), " v")),
        request("new", *completion(6, 19)),
    )
    old = await wire.hear(lambda message: message.get("id") == "old")
    await wire.hear(lambda message: message.get("id") == "new" and "result" in message)
    assert old["result"] == {"items": []}
    outcomes = [task["outcome"] for task in (await wire.status())["tasks"]]
    assert outcomes[0] == "superseded"
    assert outcomes[1] in ("answered", "empty")


async def test_a_request_sees_the_document_as_it_was_when_it_arrived(wire: Wire, backend: Backend) -> None:
    await wire.initialize()
    wire.open("x = 1\n")
    seen: list[str] = []
    complete = backend.orchestrator.complete

    async def spy(client: str, task: object, settings: object) -> object:
        seen.append(task.snapshot.text)  # type: ignore[attr-defined]
        return await complete(client, task, settings)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend.orchestrator, "complete", spy)
        wire.send(
            request("first", *completion(0, 5)),
            notification("textDocument/didChange", change(2, (0, 5), (0, 5), " + 2")),
        )
        await wire.hear(lambda message: message.get("id") == "first")
    assert seen == ["x = 1\n"]


async def test_a_cancelled_request_is_answered_once_with_request_cancelled_continue_2838(wire: Wire) -> None:
    await wire.initialize()
    wire.open(fixture_text("textwrap.py"))
    number = wire.ask(*completion(200, 0))
    await wire.status()  # the request has been taken in
    wire.notify("$/cancelRequest", {"id": number})
    response = await wire.answer(number)
    assert response["error"]["code"] == -32800
    task = (await wire.status())["tasks"][-1]
    assert task["outcome"] == "cancelled"
    assert task["usage"]["tokens_after_cancel"] == 0
    assert not [message for message in wire.heard if message.get("id") == number]


async def test_a_request_cancelled_in_the_same_packet_is_answered_once_and_makes_no_call(
    wire: Wire, backend: Backend
) -> None:
    await wire.initialize()
    last = last_record(backend)
    wire.open(CODE)
    wire.send(request("gone", *completion(6, 17)), notification("$/cancelRequest", {"id": "gone"}))
    response = await wire.hear(lambda message: message.get("id") == "gone")
    assert response["error"]["code"] == -32800
    await wire.status()
    while backend.orchestrator.live_count:  # it may have begun to read the document
        await anyio.sleep(0.001)
    record = last_record(backend)
    assert record is last or (record is not None and record.outcome == "cancelled" and not record.calls)
    assert not [message for message in wire.heard if message.get("id") == "gone"]


@pytest.mark.parametrize("goodbye", ["didClose", "disconnect"])
async def test_closing_the_document_or_the_connection_aborts_in_the_engine(
    wire: Wire, backend: Backend, goodbye: str
) -> None:
    await wire.initialize()
    wire.open(fixture_text("textwrap.py"))
    last = last_record(backend)
    number = wire.ask(*completion(200, 0))
    await wire.status()  # the request has been taken in
    if goodbye == "didClose":
        wire.notify("textDocument/didClose", {"textDocument": {"uri": "file:///work.py"}})
        assert (await wire.answer(number))["result"] == {"items": []}
    else:
        wire.close()
    task = await next_record(backend, last)
    assert task.outcome == "cancelled"
    assert task.usage.tokens_after_cancel == 0


async def test_a_position_past_the_end_is_the_end(wire: Wire) -> None:
    await wire.initialize()
    wire.open("x = [\n")
    for line, character in ((0, 500), (1, 0), (900, 7)):
        for item in (await wire.complete(line, character))["items"]:
            assert item["range"]["end"]["line"] <= 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_ranges_count_the_units_of_the_clients_encoding(wire: Wire, encoding: str) -> None:
    await wire.initialize(encoding=encoding)
    line = 's = "漢字😀é"; total = le'
    wire.open(f"{line}\n")
    units = {"utf-8": len(line.encode()), "utf-16": len(line.encode("utf-16-le")) // 2, "utf-32": len(line)}[encoding]
    items = (await wire.complete(0, units))["items"]
    for item in items:
        assert item["range"]["start"]["character"] == units - 2
        assert item["insertText"].startswith("le")


async def test_answers_use_the_line_ending_of_the_document(wire: Wire) -> None:
    await wire.initialize()
    text = fixture_text("textwrap.py").replace("\n", "\r\n")
    wire.open(text)
    for line in range(100, 300, 25):
        for item in (await wire.complete(line, 0))["items"]:
            assert "\n" not in item["insertText"].replace("\r\n", "")


async def test_a_file_of_a_hundred_thousand_lines_is_served(wire: Wire) -> None:
    await wire.initialize()
    block = fixture_text("textwrap.py")
    wire.open(block * (100_000 // block.count("\n") + 1))
    wire.notify("textDocument/didChange", change(2, (80_000, 0), (80_000, 0), "value = "))
    await wire.complete(80_000, 8)
    task = (await wire.status())["tasks"][-1]
    assert task["outcome"] in ("answered", "empty")
    assert 0 < task["prompt_tokens"] <= 1500 * task["calls"]


async def test_completion_can_be_switched_off(wire: Wire) -> None:
    await wire.initialize(options={"completion": {"enabled": False}})
    wire.open(CODE)
    status = await wire.hear(
        lambda message: message.get("params", {}).get("kind") == "Inactive" and "off" in str(message)
    )
    assert status["params"]["message"] == "Completion is switched off"
    assert await wire.complete(6, 18) == {"items": []}
