"""A perfect model's answer, shaped, puts back what was taken out of real files: the rules do no harm."""

from __future__ import annotations

import json.decoder
import random
import shutil
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from cato_lsp.tasks.completion import CompletionLimits, CompletionPrompter, CompletionRequest
from cato_lsp.tasks.families import CATO
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer

HOLES = 60
LIMITS = CompletionLimits(prompt_tokens=128)


@pytest.mark.parametrize("module", [json.decoder, shutil, textwrap], ids=lambda module: module.__name__)
@pytest.mark.parametrize("lines_removed", [1, 4, 10_000], ids=["one line", "four lines", "all that follows"])
def test_a_perfect_answer_is_shown_unchanged(cato_tokenizer: Tokenizer, module: ModuleType, lines_removed: int) -> None:
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    prompter = CompletionPrompter(cato_tokenizer, CATO, LIMITS)
    chance = random.Random(7)
    shown = wrong = 0
    for start, offset in _places(source, chance):
        line_end = start
        for _ in range(lines_removed):
            line_end = source.find("\n", line_end + 1)
            if line_end < 0:
                line_end = len(source)
                break
        document = source[:offset] + source[max(line_end, offset) :]
        answer = source[start + len(source[start:offset].rstrip()) : offset + 1200]
        plan = prompter.plan(CompletionRequest(Snapshot("file:///a.py", "python", 1, document), offset, invoked=True))
        assert plan is not None
        stream = plan.stream()
        for index in range(0, len(answer), 4):
            if stream.feed(answer[index : index + 4]):
                break
        completion = stream.result()
        if completion is not None:
            shown += 1
            wrong += not source.startswith(completion.text, completion.start)
    assert shown >= HOLES * 0.8
    assert wrong <= shown * 0.03


def _places(source: str, chance: random.Random) -> list[tuple[int, int]]:
    """Random line starts, each with an offset in that line or right behind its indentation."""
    places: list[tuple[int, int]] = []
    while len(places) < HOLES:
        start = source.rfind("\n", 0, chance.randrange(len(source))) + 1
        end = source.find("\n", start)
        line = source[start:end]
        if line.strip():
            indent = len(line) - len(line.lstrip())
            column = chance.choice([indent, chance.randrange(indent, len(line))])
            places.append((start, start + column))
    return places
