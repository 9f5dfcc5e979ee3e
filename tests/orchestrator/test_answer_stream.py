"""An answer that is read on while the user types along with it."""

from __future__ import annotations

import pytest

from cato_lsp.orchestrator.answer_stream import AnswerStream, completion_call
from cato_lsp.tasks.completion import CompletionPrompter, CompletionRequest
from cato_lsp.tasks.families import PLAIN
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer
from tests.conftest import make_call
from tests.orchestrator.scripted import Clock, ScriptedEngine
from tests.tasks.conftest import train_byte_level

pytestmark = pytest.mark.anyio


def typed(text: str) -> CompletionRequest:
    return CompletionRequest(Snapshot("file:///a.py", "python", None, text), len(text))


@pytest.mark.parametrize(("text", "rest"), [("x = 1", " + 2 + 3"), ("x = 1 + ", "2 + 3"), ("x = 1 + 2 + 3", None)])
async def test_a_later_request_gets_the_rest_of_the_answer(text: str, rest: str | None) -> None:
    prompter = CompletionPrompter(Tokenizer(train_byte_level([]).to_str()), PLAIN)
    plan = prompter.plan(typed("x = 1"))
    assert plan is not None
    engine = ScriptedEngine(Clock(), lambda _call: " + 2 + 3")
    answer = AnswerStream(typed("x = 1"), plan, engine.submit(completion_call(plan, make_call().slo)))
    assert not answer.fits(typed("y = 1"))
    assert await answer.read(typed(text), lambda _delta, _first: None)
    found = answer.completion(typed(text))
    assert (found and found.inserted(typed(text))) == rest
