"""On which thread the prompts of completions are built."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cato_lsp.config import Settings
from cato_lsp.tasks.completion import CompletionPrompter, CompletionRequest
from cato_lsp.tasks.snapshot import Snapshot
from tests.orchestrator.scripted import Clock, ScriptedEngine, prompt_source


@pytest.mark.anyio
async def test_only_while_the_user_types_on_a_line_are_prompts_built_on_the_event_loop() -> None:
    on_loop: list[bool] = []

    def plan(_request: CompletionRequest, _context: Any) -> None:
        on_loop.append(threading.current_thread() is threading.main_thread())

    prompter = cast("CompletionPrompter", SimpleNamespace(plan=plan))
    prompts = prompt_source(ScriptedEngine(Clock(), lambda _call: ""), prompter)
    for text in ("x = 1\n", "x = 1\ny", "x = 1\ny =", "x = 1\ny = 2\n", "x = 1\ny = 2\nz"):
        request = CompletionRequest(Snapshot("file:///a.py", "python", None, text), len(text))
        await prompts.plan("me", request, Settings())
    assert on_loop == [False, True, True, False, True]
