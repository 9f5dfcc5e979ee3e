"""Golden cases: what is shown of an answer at a cursor."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from cato_lsp.tasks.completion import CompletionPrompter, CompletionRequest
from cato_lsp.tasks.families import CATO
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer

CURSOR = "‸"


def golden_cases() -> list[Any]:
    cases: list[Any] = []
    for path in sorted((Path(__file__).parent / "golden").glob("*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        for case in content["case"]:
            name = f"{path.stem}: {case['name']}"
            cases.append(pytest.param(content["language"], case, id=name))
    return cases


@pytest.mark.parametrize(("language", "case"), golden_cases())
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_golden(cato_tokenizer: Tokenizer, language: str, case: dict[str, Any], piece: int) -> None:
    offset = case["document"].index(CURSOR)
    snapshot = Snapshot("file:///a", language, 1, case["document"].replace(CURSOR, ""))
    plan = CompletionPrompter(cato_tokenizer, CATO).plan(CompletionRequest(snapshot, offset, invoked=True))
    assert plan is not None
    stream = plan.stream()
    answer: str = case["answer"]
    for start in range(0, len(answer), piece):
        if stream.feed(answer[start : start + piece]):
            break
    completion = stream.result(cut=case.get("cut", False))
    shown = "" if completion is None else completion.text[offset - completion.start :]
    assert shown == case["shown"]
    if "after" in case:
        assert completion is not None
        assert completion.apply(snapshot.text) == case["after"]
