"""How what is shown while typing is judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation.places import Place
from evaluation.typing import Shown, Trace, load, save, shown, text_places

from cato_lsp.tasks.completion import CompletionPrompter
from cato_lsp.tasks.families import CATO
from cato_lsp.tasks.tokenizer import Tokenizer

PLACE = Place("a.py", "x = \n", 4, "first(second)")
DELTAS: list[tuple[str, int, float, str | None]] = [
    ("first", 1, -0.1, None),
    ("(", 1, -0.1, None),
    ("wrong)", 2, -2.0, None),
    ("\n", 1, -0.1, "stop"),
]


@pytest.mark.anyio
async def test_a_recorded_answer_is_shown_whole_when_asked_and_cut_while_typing(model_folder: Path) -> None:
    prompter = CompletionPrompter(Tokenizer.from_folder(model_folder), CATO)
    trace = Trace(PLACE, "python", DELTAS)
    assert await shown(trace, prompter, 0.0) == ("first(wrong)", 5)
    assert await shown(trace, prompter, 0.5) == ("first", 4)
    assert await shown(trace, prompter, 0.95) == ("", 1)


def test_what_is_shown_is_right_if_what_stood_there_begins_with_it() -> None:
    sums = Shown()
    for text in ("first(second)", "first", "", "other"):
        sums.add(text, PLACE, 2)
    assert (sums.shown, sums.right, sums.whole) == (3, 2, 1)
    assert (sums.right_characters, sums.wrong_characters) == (18, 5)
    assert sums.cells() == ["75%", "67%", "25.0%", "4.50", "1.25", "2.0"]


def test_places_in_any_language_are_the_same_every_time_and_in_code() -> None:
    files = {"a.ts": "// a comment that is long\nconst value = compute(1, 2);\n"}
    places = text_places(files, 5, 1)
    assert places == text_places(files, 5, 1)
    assert all(each.text[: each.offset] + each.wanted + each.text[each.offset :] == files["a.ts"] for each in places)
    assert all(each.line.startswith("c") for each in places)


def test_traces_are_kept(tmp_path: Path) -> None:
    save([Trace(PLACE, "python", DELTAS)], tmp_path / "t.jsonl")
    assert load(tmp_path / "t.jsonl") == [Trace(PLACE, "python", DELTAS)]
