"""Generate: where code is generated, and what becomes of the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.tasks.calls import ALTERNATIVES
from cato_lsp.tasks.generation import Generation, generation_target, reindented
from cato_lsp.tasks.prompts import PlainPrompter
from cato_lsp.tasks.symbols import syntax_errors
from cato_lsp.tasks.tokenizer import Tokenizer
from tests.tasks.scripted import ScriptedCalls, at, edit_of

pytestmark = pytest.mark.anyio


async def generated(
    marked: str, answer: str, plain: PlainPrompter, tokenizer: Tokenizer, language: str = "python", newline: str = "\n"
) -> tuple[str, bool]:
    snapshot, offset = at(marked, language, newline)
    target = generation_target(snapshot, offset)
    assert target is not None
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: answer)
    result = await Generation(snapshot, target, plain).run(calls)
    assert result is not None
    return edit_of(result).apply(snapshot.text), result.unverified


@pytest.mark.parametrize(
    "marked",
    [
        'def f(x):\n    """Double it."""\n    pass‸\n',
        'def f(x):\n    """Double it."""‸\n',
        'def f(x):\n    """Double it."""\n    ‸',
        'def f(x):\n    """Double it."""\n\n    ‸\n\n\ny = 1\n',
        'def f(x):‸\n    """Double it."""\n    ...\n',
        'def f(x):\n    """Double it."""\n    raise NotImplementedError("later")‸\n\n\ny = 1\n',
        "import os\n\n\ndef f(x):‸",
        "def f(x):\n    # TODO: double it\n    pass‸\n",
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        "    y = x * 2\n    return y\n",
        "y = x * 2\nreturn y",
        "```python\ndef f(x):\n    y = x * 2\n    return y\n```",
        'def f(x):\n    """Double it."""\n    y = x * 2\n    return y',
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
async def test_a_body_replaces_a_stub(
    marked: str, answer: str, newline: str, plain: PlainPrompter, tokenizer: Tokenizer
) -> None:
    if "Double it" not in marked and '"""Double' in answer:
        answer = answer.replace('    """Double it."""\n', "")
    text, unverified = await generated(marked, answer, plain, tokenizer, newline=newline)
    assert not unverified
    scope: dict[str, object] = {}
    exec(text, scope)
    assert scope["f"](21) == 42  # type: ignore[operator]
    assert text.count("\n") - text.count("\r\n") == (0 if newline == "\r\n" else text.count("\n"))
    if "TODO" in marked:
        assert "# TODO: double it" in text
    if "y = 1" in marked:
        assert text.endswith(f"{newline}{newline}{newline}y = 1{newline}")


async def test_a_body_in_a_language_with_braces_keeps_the_braces(plain: PlainPrompter, tokenizer: Tokenizer) -> None:
    marked = "class A {\n  /** Double it. */\n  f(x) {\n    // TODO‸\n  }\n}\n"
    text, unverified = await generated(marked, "const y = x * 2;\nreturn y;\n}", plain, tokenizer, "javascript")
    assert text == (
        "class A {\n  /** Double it. */\n  f(x) {\n    // TODO\n    const y = x * 2;\n    return y;\n  }\n}\n"
    )
    assert not unverified


@pytest.mark.parametrize(
    ("marked", "answer", "language", "expected"),
    [
        (
            "function f(\n  a,\n  b,\n) {‸\n",
            "return a + b;",
            "javascript",
            "function f(\n  a,\n  b,\n) {\n  return a + b;\n}\n",
        ),
        ("class A:‸\n", "x = 1", "python", "class A:\n    x = 1\n"),
    ],
)
async def test_a_head_without_a_body_gets_one_and_the_brace_that_it_lacks(
    plain: PlainPrompter, tokenizer: Tokenizer, marked: str, answer: str, language: str, expected: str
) -> None:
    assert await generated(marked, answer, plain, tokenizer, language) == (expected, False)


async def test_code_follows_the_comment_above(plain: PlainPrompter, tokenizer: Tokenizer) -> None:
    marked = "def f(xs):\n    # sort the list\n    # and print it‸\n\n"
    text, unverified = await generated(marked, "xs.sort()\nprint(xs)", plain, tokenizer)
    assert text == "def f(xs):\n    # sort the list\n    # and print it\n    xs.sort()\n    print(xs)\n\n"
    assert not unverified
    target = generation_target(*at(marked))
    assert target is not None
    assert target.head == "    # sort the list\n    # and print it\n", "what is above is context"


@pytest.mark.parametrize(
    "marked",
    [
        "def f(x):\n    return x * 2‸\n",
        "x = 1‸\n",
        "‸",
        "# a comment‸\nx = 1\n",
        "# far away\n\n\n‸\n",
        "f(‸\n",
        'def f(x):\n    """D."""\n\n‸\n',
        "class A:\n    def f(self):\n        pass\n    ‸\n",
        "‸\n# a comment\n",
    ],
)
def test_nothing_is_generated_without_a_signature_or_comment(marked: str) -> None:
    assert generation_target(*at(marked)) is None


async def test_code_that_does_not_parse_is_cut_or_marked(plain: PlainPrompter, tokenizer: Tokenizer) -> None:
    stub = 'def f(x):\n    """Double it."""\n    pass‸\n'
    text, unverified = await generated(stub, "y = x\nreturn y *\n(", plain, tokenizer)
    assert text == 'def f(x):\n    """Double it."""\n    y = x\n'
    assert not unverified
    text, unverified = await generated(stub, "y = = x", plain, tokenizer)
    assert "y = = x" in text
    assert unverified


@pytest.mark.parametrize("first", ["y = = x", "y = f(x" + ", None" * 9, "y = g(x)\n" * 9])
@pytest.mark.parametrize(("second", "repaired"), [("return 2 * x", True), ("z = = x", False)])
async def test_of_code_that_does_not_parse_or_repeats_itself_alternatives_are_written(
    plain: PlainPrompter, tokenizer: Tokenizer, first: str, second: str, repaired: bool
) -> None:
    snapshot, offset = at('def f(x):\n    """Double it."""\n    pass‸\n')
    target = generation_target(snapshot, offset)
    assert target is not None
    answers = iter([first, "z = = x", second, "return x + x"] if repaired else [first, *[second] * ALTERNATIVES])
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: next(answers))
    result = await Generation(snapshot, target, plain).run(calls)
    assert len(calls.prompts) == 1 + ALTERNATIVES
    assert result is None or result.unverified is not repaired
    assert not repaired or edit_of(result).text.strip() == second


async def test_the_code_above_takes_at_most_a_third_of_the_context(tokenizer: Tokenizer) -> None:
    above = "".join(f"value_{number} = {number}\n" for number in range(60))
    snapshot, offset = at(f'{above}\n\ndef f(x):\n    """Double it."""\n    pass‸\n')
    target = generation_target(snapshot, offset)
    assert target is not None
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: "    return 2 * x\n")
    await Generation(snapshot, target, PlainPrompter(tokenizer, 900)).run(calls)
    lines = [line for line in above.splitlines() if line in calls.prompts[0].splitlines()]
    assert lines
    assert lines[-1] == "value_59 = 59"
    assert len(tokenizer.encode("\n".join(lines))) <= 300


@given(st.text(alphabet="ab=(){}:\n \t\"'é漢🙂\r#", max_size=60), st.sampled_from(["\n", "\r\n"]))
async def test_no_answer_touches_anything_outside_of_the_stub(
    plain: PlainPrompter, tokenizer: Tokenizer, answer: str, newline: str
) -> None:
    snapshot, offset = at('é = "漢"\n\n\ndef f(x):\n    """D🙂."""\n    pass‸\n\n\nend = 1', newline=newline)
    target = generation_target(snapshot, offset)
    assert target is not None
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: answer)
    result = await Generation(snapshot, target, plain).run(calls)
    if result is not None:
        text = edit_of(result).apply(snapshot.text)
        assert text.startswith(snapshot.text[: target.start])
        assert text.endswith(snapshot.text[target.end :])
        assert target.start <= snapshot.text.index("    pass")
        assert target.end == snapshot.text.index("pass") + 4
        assert result.unverified or syntax_errors(text, "python") == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a\nb", "  a\n  b"),
        ("    a\n    b", "  a\n  b"),
        ("a\n    b", "  a\n  b"),
        ("if a:\n        b\n    c", "  if a:\n      b\n  c"),
        ("if a:\n    b", "  if a:\n    b"),
        ("a\n\n    b", "  a\n\n  b"),
    ],
)
def test_code_gets_the_indentation_of_its_place(code: str, expected: str) -> None:
    assert reindented(code, "  ", "  ") == expected
