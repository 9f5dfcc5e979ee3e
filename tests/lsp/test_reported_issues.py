"""What users of other assistants complained about, as far as a server with a live engine can cause it.

Each test names the issue it is about.
"""

from __future__ import annotations

import anyio
import pytest

from cato_lsp.lsp.backend import Backend
from tests.lsp.wire import Wire, change, fixture_text

pytestmark = pytest.mark.anyio

URI = "file:///work.py"
FUNCTIONS = "\n\n".join(f"def total_{n}(values):\n    result = {n}\n    return result\n" for n in range(12))


async def translate(wire: Wire) -> str:
    """Begin a translation of the whole document; return the token of its progress."""
    arguments = [{"uri": URI, "language": "javascript"}]
    return await wire.call("workspace/executeCommand", {"command": "cato.translate", "arguments": arguments})


async def running(backend: Backend, count: int) -> None:
    """Wait until the engine computes ``count`` calls."""
    with anyio.fail_after(60):
        while backend.orchestrator.engine_stats().calls_running < count:
            await anyio.sleep(0.001)


async def test_a_completion_does_not_wait_for_the_translation_that_runs_vscode_277891(
    wire: Wire, backend: Backend
) -> None:
    await wire.initialize()
    wire.open(FUNCTIONS)
    token = await translate(wire)
    await running(backend, 1)
    wire.notify("textDocument/didChange", change(2, (1, 0), (1, 0), "    value = \n"))
    await wire.complete(1, 12, invoked=False)
    finished = [task["kind"] for task in (await wire.status())["tasks"]]
    assert finished == ["completion"]  # the translation is still at work
    wire.notify("window/workDoneProgress/cancel", {"token": token})


async def test_completions_and_code_actions_use_one_loaded_model_continue_5965_continue_10378(
    wire: Wire, backend: Backend
) -> None:
    await wire.initialize()
    wire.open(FUNCTIONS)
    engine, steps = backend.host.engine, backend.orchestrator.engine_stats().steps
    for line in range(3):
        await wire.complete(line, 4)
        token = await translate(wire)
        await running(backend, 1)
        wire.notify("window/workDoneProgress/cancel", {"token": token})
    await wire.complete(5, 4)
    assert backend.host.engine is engine
    assert backend.orchestrator.engine_stats().steps > steps


async def test_two_windows_on_one_server_share_one_model_continue_1776(port: int, backend: Backend) -> None:
    engine = backend.host.engine
    windows = [await Wire.connect(port) for _ in range(2)]
    for number, window in enumerate(windows):
        await window.initialize()
        window.open(fixture_text("textwrap.py"), uri=f"file:///{number}.py")
        await window.complete(100, 0, uri=f"file:///{number}.py")
    assert backend.host.engine is engine
    for window in windows:
        window.close()


async def test_an_answer_for_an_older_text_is_never_sent_minuet_ai_149(wire: Wire) -> None:
    await wire.initialize()
    text = fixture_text("textwrap.py")
    wire.open(text)
    for version, line in enumerate(range(60, 200, 20), start=2):
        asked = wire.ask(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": URI},
                "position": {"line": line, "character": 0},
                "context": {"triggerKind": 1},
            },
        )
        wire.notify("textDocument/didChange", change(version, (line, 0), (line, 0), "z"))
        assert (await wire.answer(asked))["result"] == {"items": []}
