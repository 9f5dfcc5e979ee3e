"""Accept events and ``cato/status`` over the wire."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lsp.wire import Wire, change, fixture_text

pytestmark = pytest.mark.anyio


async def an_item(wire: Wire) -> dict[str, Any]:
    """Any completion that the model gives."""
    text = fixture_text("textwrap.py")
    wire.open(text)
    lines = text.split("\n")
    for line in range(60, 400, 7):
        items = (await wire.complete(line, len(lines[line]) * 2 // 3, invoked=False))["items"]
        if items:
            return items[0]
    pytest.fail("the model suggests nothing anywhere")


async def test_accepting_an_item_runs_its_command_and_is_counted(wire: Wire) -> None:
    result = await wire.initialize()
    assert "cato.didAccept" in result["capabilities"]["executeCommandProvider"]["commands"]
    item = await an_item(wire)
    assert item["command"]["command"] == "cato.didAccept"
    wire.notify("textDocument/didShowCompletion", {"item": item})
    for _ in range(2):
        command = {"command": item["command"]["command"], "arguments": item["command"]["arguments"]}
        assert await wire.call("workspace/executeCommand", command) is None
    counted = (await wire.status())["completions"]
    assert (counted["shown"], counted["accepted"]) == (1, 1)
    assert counted["acceptedCharacters"] == len(item["insertText"])


async def test_accepting_a_part_counts_its_characters(wire: Wire) -> None:
    await wire.initialize()
    item = await an_item(wire)
    wire.notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": 1})
    counted = (await wire.status())["completions"]
    assert (counted["shown"], counted["accepted"], counted["acceptedCharacters"]) == (1, 1, 1)


@pytest.mark.parametrize("params", [{}, {"item": None}, {"item": {"command": {"arguments": ["x"]}}}, None, [1]])
async def test_events_that_make_no_sense_do_no_harm(wire: Wire, params: Any) -> None:
    await wire.initialize()
    wire.notify("textDocument/didShowCompletion", params)
    wire.notify("textDocument/didPartiallyAcceptCompletion", params)
    await wire.call("workspace/executeCommand", {"command": "cato.didAccept", "arguments": ["x"]})
    assert (await wire.status())["completions"]["shown"] == 0


async def test_typing_along_is_answered_without_a_call_and_counted(wire: Wire) -> None:
    await wire.initialize()
    wire.open("import os\n\n\ndef names(path):\n    entries = os.\n    return entries\n")
    for head in ("    entries = os.", "    entries = os.listdir(", "    for entry in "):
        wire.notify("textDocument/didChange", change(2, (4, 0), (4, 200), head))
        items = (await wire.complete(4, len(head), invoked=False))["items"]
        if items and len(items[0]["insertText"]) > 1 and items[0]["range"]["end"]["character"] == len(head):
            break
    else:
        pytest.fail("the model suggests nothing anywhere")
    item = items[0]
    typed = head[: item["range"]["start"]["character"]] + item["insertText"]
    first = typed[len(head)]
    wire.notify("textDocument/didChange", change(3, (4, len(head)), (4, len(head)), first))
    again = (await wire.complete(4, len(head) + 1, invoked=False))["items"]
    assert head[: again[0]["range"]["start"]["character"]] + again[0]["insertText"] == typed or (
        (head + first)[: again[0]["range"]["start"]["character"]] + again[0]["insertText"] == typed
    )
    status = await wire.status()
    assert status["tasks"][-1]["source"] == "cache"
    assert status["tasks"][-1]["calls"] == 0
    assert status["typeThrough"]["hits"] == 1


async def test_status_sums_up_kinds_and_holds_no_code(wire: Wire) -> None:
    await wire.initialize()
    await an_item(wire)
    status = await wire.status()
    completion = status["kinds"]["completion"]
    assert completion["deadlines"] >= completion["deadlines_met"] >= 0
    assert completion["ttft_p50"] <= completion["ttft_p95"]
    assert status["memory"] > 10_000_000
    assert status["model"]
    assert "wrap" not in str(status["tasks"])
    assert "wrap" not in str(status["kinds"])
