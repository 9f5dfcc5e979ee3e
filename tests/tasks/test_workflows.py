"""Summarize, explain, translate: sequences of calls, and what becomes of the answers."""

from __future__ import annotations

import textwrap
from typing import cast

import pytest

from cato_lsp.tasks import translation
from cato_lsp.tasks.calls import ALTERNATIVES, CannotDoError
from cato_lsp.tasks.languages import parser_of
from cato_lsp.tasks.prompts import CatoPrompter, PlainPrompter
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.summarization import Explanation, Summarization, documentable
from cato_lsp.tasks.tokenizer import Tokenizer
from cato_lsp.tasks.translation import TARGETS, Translation, translations
from tests.tasks.scripted import ScriptedCalls, at, edit_of

pytestmark = pytest.mark.anyio


SHORT = "def f(x):\n    return x * 2\n"
LONG = "class Big:\n" + "".join(
    f"    def m{n}(self, items):\n" + "".join(f"        step_{n}_{k} = items[{k}] + {n}\n" for k in range(30)) + "\n"
    for n in range(12)
)


async def test_a_short_function_is_documented_with_one_call(plain: PlainPrompter, tokenizer: Tokenizer) -> None:
    snapshot = Snapshot("file:///a.py", "python", 1, SHORT)
    symbol = documentable(snapshot, 0, 0)
    assert symbol is not None
    task = Summarization(snapshot, symbol, plain)
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: "Return twice the number.")
    assert (
        edit_of(await task.run(calls)).apply(SHORT)
        == 'def f(x):\n    """Return twice the number."""\n    return x * 2\n'
    )
    assert len(calls.prompts) == len(task.estimate()) == 1


async def test_a_long_class_is_summarized_from_its_methods(plain: PlainPrompter, tokenizer: Tokenizer) -> None:
    snapshot = Snapshot("file:///a.py", "python", 1, LONG)
    symbol = documentable(snapshot, 0, 0)
    assert symbol is not None
    task = Summarization(snapshot, symbol, plain)
    calls = ScriptedCalls(tokenizer.decode, lambda prompt: "The whole." if "m11: A part." in prompt else "A part.")
    edit = edit_of(await task.run(calls))
    assert len(calls.prompts) == len(task.estimate()) == 13
    assert calls.then == [1] * 12 + [0]  # the reduction is foreseen while the parts are worked on
    assert edit.apply(LONG).startswith('class Big:\n    """The whole."""\n    def m0')


async def test_an_explanation_of_a_file_lists_its_symbols(plain: PlainPrompter, tokenizer: Tokenizer) -> None:
    text = SHORT + "\n\nclass A:\n    pass\n"
    snapshot = Snapshot("file:///p/tools.py", "python", 1, text)
    calls = ScriptedCalls(tokenizer.decode, lambda prompt: "All of it." if "A: It is." in prompt else "It is.")
    shown = await Explanation(snapshot, 0, len(text), plain).run(calls)
    assert shown.content == "# tools.py\n\nAll of it.\n\n- `f`: It is.\n- `A`: It is.\n"
    assert calls.shown[-1] == "# tools.py\n\nAll of it.\n"


async def test_one_line_of_any_length_can_be_explained(plain: PlainPrompter, tokenizer: Tokenizer) -> None:
    text = "x = [" + "1, " * 40_000 + "]"
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: "Numbers.")
    shown = await Explanation(Snapshot("file:///a.py", "python", 1, text), 0, len(text), plain).run(calls)
    assert "Numbers." in cast("str", shown.content)


FILE = 'import os\n\n\n# doubles\ndef f(x):\n    return x * 2\n\n\ndef g(y):\n    """Halve."""\n    return y / 2\n'


def javascript(prompt: str) -> str:
    name = "g" if "def g" in prompt else "f"
    return f"function {name}(x) {{\n  return x;\n}}"


async def test_the_bundled_model_translates_function_by_function_in_order(
    cato: CatoPrompter, tokenizer: Tokenizer
) -> None:
    calls = ScriptedCalls(tokenizer.decode, javascript)
    task = Translation(Snapshot("file:///a.py", "python", 1, FILE), 0, len(FILE), "javascript", cato)
    result = await task.run(calls)
    assert len(calls.prompts) == len(task.estimate()) == 2
    assert result.content == (
        "// cato: not translated\n// import os\n\nfunction f(x) {\n  return x;\n}\n\nfunction g(x) {\n  return x;\n}\n"
    )
    assert result.unverified
    assert calls.shown[-1] == result.content
    assert all(text.startswith(calls.shown[0][:20]) for text in calls.shown)


async def test_another_model_translates_small_symbols_together(plain: PlainPrompter, tokenizer: Tokenizer) -> None:
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: "```js\nlet x = 1;\n```")
    task = Translation(Snapshot("file:///a.py", "python", 1, FILE), 0, len(FILE), "javascript", plain)
    result = await task.run(calls)
    assert len(calls.prompts) == 1
    assert result.content == "let x = 1;\n"
    assert not result.unverified


@pytest.mark.parametrize(("more", "calls"), [(0, 1), (-1, 2)])
async def test_symbols_are_translated_together_up_to_a_number_of_tokens(
    plain: PlainPrompter, monkeypatch: pytest.MonkeyPatch, more: int, calls: int
) -> None:
    monkeypatch.setattr(translation, "PIECE_TOKENS", plain.count(FILE) + more)
    task = Translation(Snapshot("file:///a.py", "python", 1, FILE), 0, len(FILE), "javascript", plain)
    assert len(task.estimate()) == calls


async def test_a_translation_that_does_not_parse_is_repaired_once(plain: PlainPrompter, tokenizer: Tokenizer) -> None:
    answers = iter(["let x = ;", "let x = 1;"])
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: next(answers))
    task = Translation(Snapshot("file:///a.py", "python", 1, "x = 1\n"), 0, 6, "javascript", plain)
    result = await task.run(calls)
    assert result.content == "let x = 1;\n"
    assert not result.unverified
    assert "line 1" in calls.prompts[1]


async def test_a_translation_that_declares_a_parameter_again_is_mended_without_another_call(
    cato: CatoPrompter, tokenizer: Tokenizer
) -> None:
    source = "def f(x):\n    x = g(x)\n    return x\n"
    answer = "function f(x) {\n  let x = g(x);\n  return x;\n}"
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: answer)
    snapshot = Snapshot("file:///a.py", "python", 1, source)
    result = await Translation(snapshot, 0, len(source), "javascript", cato).run(calls)
    assert result.content == "function f(x) {\n  x = g(x);\n  return x;\n}\n"
    assert not result.unverified
    assert len(calls.prompts) == 1


async def test_the_repair_of_a_long_translation_may_be_twice_as_long(
    plain: PlainPrompter, tokenizer: Tokenizer
) -> None:
    broken = "let x = [" + ", ".join(map(str, range(60))) + "];\nlet y = ;"
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: broken)
    await Translation(Snapshot("file:///a.py", "python", 1, "x = 1\n"), 0, 6, "javascript", plain).run(calls)
    assert calls.most[1] >= 2 * len(tokenizer.encode(broken))


async def test_a_translation_that_repeats_itself_is_ended_and_repaired(
    plain: PlainPrompter, tokenizer: Tokenizer
) -> None:
    answers = iter(["let x = f(value" + ", null" * 50, "let x = 1;"])
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: next(answers))
    task = Translation(Snapshot("file:///a.py", "python", 1, "x = 1\n"), 0, 6, "javascript", plain)
    result = await task.run(calls)
    assert max(text.count("null") for text in calls.shown) < 10
    assert result.content == "let x = 1;\n"
    assert not result.unverified


@pytest.mark.parametrize(("second", "text", "done"), [("Return it.", "Return it.", True), (None, "Return the", False)])
async def test_documentation_that_repeats_itself_is_written_once_more(
    plain: PlainPrompter, tokenizer: Tokenizer, second: str | None, text: str, done: bool
) -> None:
    snapshot, offset = at("def f(x):‸\n    return x\n")
    symbol = documentable(snapshot, offset, offset)
    assert symbol is not None
    stuck = "Return" + " the" * 50
    answers = iter([stuck, second or stuck])
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: next(answers))
    result = await Summarization(snapshot, symbol, plain).run(calls)
    assert edit_of(result).text.strip() == f'"""{text}"""'
    assert result is not None
    assert result.unverified is not done


async def test_a_model_that_cannot_repair_writes_alternatives(cato: CatoPrompter, tokenizer: Tokenizer) -> None:
    source = "def f(x):\n    return x\n"
    good = "function f(x) {\n  return x;\n}"
    answers = iter(["function f(x) {", "let x = ;", good, "let x = 1;"])
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: next(answers))
    task = Translation(Snapshot("file:///a.py", "python", 1, source), 0, len(source), "javascript", cato)
    result = await task.run(calls)
    assert len(calls.prompts) == 1 + ALTERNATIVES
    assert result.content == f"{good}\n"
    assert not result.unverified


@pytest.mark.parametrize("time", [True, False])
async def test_a_translation_that_cannot_be_repaired_is_marked(
    plain: PlainPrompter, tokenizer: Tokenizer, time: bool
) -> None:
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: "let x = ;", time=time)
    task = Translation(Snapshot("file:///a.py", "python", 1, "x = 1\n"), 0, 6, "javascript", plain)
    result = await task.run(calls)
    assert len(calls.prompts) == (2 if time else 1)
    assert result.unverified
    assert cast("str", result.content).startswith("// cato: not verified, please check: line 1")


async def test_a_target_without_a_grammar_is_never_called_verified(plain: PlainPrompter, tokenizer: Tokenizer) -> None:
    calls = ScriptedCalls(tokenizer.decode, lambda _prompt: "let x = 1")
    task = Translation(Snapshot("file:///a.py", "python", 1, "x = 1\n"), 0, 6, "swift", plain)
    assert (await task.run(calls)).unverified


async def test_a_selected_method_is_translated_without_its_indentation(
    cato: CatoPrompter, tokenizer: Tokenizer
) -> None:
    text = "class A:\n    def f(x):\n        return x\n"
    start = text.index("    def")
    calls = ScriptedCalls(tokenizer.decode, javascript)
    await Translation(Snapshot("file:///a.py", "python", 1, text), start + 4, len(text), "javascript", cato).run(calls)
    assert calls.prompts == [f"javascript\n{textwrap.dedent(text[start:]).strip()}"]


def test_only_languages_whose_syntax_can_be_checked_are_offered_as_targets() -> None:
    assert all(parser_of(target) is not None for target in TARGETS)


def test_untrained_languages_are_refused_with_a_reason(cato: CatoPrompter, plain: PlainPrompter) -> None:
    snapshot = Snapshot("file:///a.py", "python", 1, "x = 1\n")
    with pytest.raises(CannotDoError, match="cannot translate Python to Go"):
        Translation(snapshot, 0, 6, "go", cato)
    assert translations(cato, "python") == ["javascript"]
    assert translations(cato, "javascript") == []
    assert "python" not in translations(plain, "python")
    assert "go" in translations(plain, "python")


def test_parts_that_cannot_be_translated_are_announced(cato: CatoPrompter, plain: PlainPrompter) -> None:
    snapshot = Snapshot("file:///a.py", "python", 1, FILE)
    assert Translation(snapshot, 0, len(FILE), "javascript", cato).note == (
        "The model can translate 2 of 3 parts; the others become comments."
    )
    assert Translation(snapshot, 0, len(FILE), "javascript", plain).note == ""


def test_a_translation_without_translatable_parts_is_refused(cato: CatoPrompter) -> None:
    text = "class A:\n    x = 1\n"
    with pytest.raises(CannotDoError, match="single functions only"):
        Translation(Snapshot("file:///a.py", "python", 1, text), 0, len(text), "javascript", cato)
