"""When an answer is complete."""

from __future__ import annotations

import pytest

from cato_lsp.tasks.cursor import Cursor, Mode
from cato_lsp.tasks.stop import StopReason, StopRules


def rules_at(marked: str, language: str = "python", *, max_lines: int = 20) -> StopRules:
    cursor = Cursor.at(marked.replace("‸", ""), marked.index("‸"), language)
    return StopRules(cursor, max_lines=max_lines, markers=["<|file_sep|>", "</s>"])


CASES = [
    ("x = ‸", " 1\n", StopReason.LINE_END, " 1"),
    ("x = ‸", " 1 + 2", None, " 1 + 2"),
    ("def f():‸", "\n    a\n    b\nc", StopReason.BLOCK_END, "\n    a\n    b"),
    ("if a:‸", "\n    b\nelse:\n    c\nd", StopReason.BLOCK_END, "\n    b\nelse:\n    c"),
    ("if a:‸", "\n    b\nelsewhere = 1\n", StopReason.BLOCK_END, "\n    b"),
    (
        "class A:‸",
        "\n    def f(self):\n        b\n\n    d",
        StopReason.NEXT_BLOCK,
        "\n    def f(self):\n        b",
    ),
    ("def f():‸", "\n    a\n\n    b\n", None, "\n    a\n\n    b\n"),
    ("‸", "a = 1\nb = 2\n\nc", StopReason.NEXT_BLOCK, "a = 1\nb = 2"),
    ("def f():\n    ‸\n    return total", "    a\n    return total\n", StopReason.SUFFIX_REACHED, "    a"),
    ("f(‸)", "\n    a,\n)", StopReason.BRACKET_CLOSED, "\n    a,\n"),
    ("f(‸)", "a)", None, "a)"),
    ("f(‸)", "a).b\n", StopReason.LINE_END, "a).b"),
    ("x = [‸", "\n" + "    1,\n" * 5, StopReason.LOOP, "\n    1,"),
    ("x = ‸", " 1, 2, 3" * 20, StopReason.LOOP, ""),
    ("# ‸", " " + "-" * 90, None, " " + "-" * 90),
    ("g(\n  ‸\n  a,\n)\n", "  f(\n  a,\n  b)\n", None, "  f(\n  a,\n  b)\n"),
    ("x = ‸", " 1</s>2", StopReason.CONTROL_TOKEN, " 1"),
]


@pytest.mark.parametrize(("document", "answer", "reason", "kept"), CASES)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_stops_for_the_reason_and_keeps_the_text(
    document: str, answer: str, reason: StopReason | None, kept: str, size: int
) -> None:
    rules = rules_at(document)
    for start in range(0, len(answer), size):
        rules.feed(answer[start : start + size])
    assert rules.reason == reason
    assert rules.text == kept


def test_a_block_has_at_most_the_lines_allowed() -> None:
    rules = rules_at("def f():‸", max_lines=3)
    assert rules.feed("\n" + "".join(f"    a{number}\n" for number in range(9))) is StopReason.MAX_LINES
    assert rules.text == "\n    a0\n    a1\n    a2"


def test_text_after_the_end_is_ignored() -> None:
    rules = rules_at("x = ‸")
    rules.feed(" 1\n")
    assert rules.feed("more\n") is StopReason.LINE_END
    assert rules.text == " 1"


@pytest.mark.parametrize(
    ("document", "language", "mode"),
    [
        ("x = ‸", "python", Mode.LINE),
        ("def f(a):‸", "python", Mode.BLOCK),
        ("def f(a):\n    ‸", "python", Mode.BLOCK),
        ("# if so:‸", "python", Mode.LINE),
        ("x = 1  # if so:‸", "python", Mode.LINE),
        ("x = 'if so:‸'", "python", Mode.LINE),
        ('def f():\n    """\n    ‸', "python", Mode.LINE),
        ('def f():\n    """A.\n\n    ‸\n    """\n', "python", Mode.LINE),
        ('def f():\n    """A."""\n    ‸', "python", Mode.BLOCK),
        ('def f():\n    """A.\n\n    B.\n    """\n    ‸', "python", Mode.BLOCK),
        ("if (a) {‸", "javascript", Mode.BLOCK),
        ("/* so\n ‸\n*/", "javascript", Mode.LINE),
        ("// {‸", "go", Mode.LINE),
        ("fn f() {‸}", "rust", Mode.BLOCK),
        ("if (a) { ‸b(); }", "c", Mode.LINE),
        ("key:‸", "yaml", Mode.BLOCK),
        ("some text‸", "", Mode.LINE),
    ],
)
def test_syntax_decides_between_one_line_and_several(document: str, language: str, mode: Mode) -> None:
    assert Cursor.at(document.replace("‸", ""), document.index("‸"), language).mode is mode


@pytest.mark.benchmark(group="stop rules")
def test_stop_rules_per_answer_of_200_tokens(benchmark) -> None:
    answer = "\n" + "".join(f"    value_{number} = compute(other, {number})\n" for number in range(20))
    cursor = Cursor.at("def f():", 8, "python")

    def read() -> str:
        rules = StopRules(cursor, max_lines=100)
        for start in range(0, len(answer), 4):
            rules.feed(answer[start : start + 4])
        return rules.text

    assert benchmark(read) == answer
