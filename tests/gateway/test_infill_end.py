"""Where an answer of /infill ends. The clock is the test's."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from cato_lsp.gateway.infill_end import InfillEnd
from cato_lsp.gateway.stop_text import StopText


def shown(end: InfillEnd, parts: Iterable[str]) -> str:
    """What of an answer is sent, part by part."""
    text = ""
    for part in parts:
        text += end.feed(part)
        if end.stopped:
            return text
    return text + end.feed("", last=True)


BODY = "a + b\n\n    return c\ndef next():\n    pass\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("stops", "indent", "wanted"),
    [
        ([], 0, BODY),
        ([], 4, "a + b\n\n    return c\n"),
        ([], 5, "a + b\n\n"),
        (["next"], 0, "a + b\n\n    return c\ndef "),
        (["return"], 4, "a + b\n\n    "),
        (["\n\n"], 0, "a + b"),
    ],
)
def test_the_end_does_not_depend_on_the_parts(size: int, stops: list[str], indent: int, wanted: str) -> None:
    end = InfillEnd(StopText(stops), indent, 0, lambda: 0.0)
    assert shown(end, (BODY[i : i + size] for i in range(0, len(BODY), size))) == wanted
    assert end.stopped is (wanted != BODY)
    assert end.at_stop_text is bool(stops)


def test_an_answer_of_a_whole_line_ends_when_its_time_is_over() -> None:
    now = 0.0
    end = InfillEnd(StopText([]), 0, 1.0, lambda: now)
    text = end.feed("first")
    now = 2.0
    text += end.feed(" line")
    assert not end.stopped
    text += end.feed("\nsecond")
    assert end.stopped
    assert text == "first line\nsecond"
