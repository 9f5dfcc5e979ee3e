"""What users of other assistants complained about, as far as prompts and shaping can cause it.

Each test names the issue it is about.
"""

from __future__ import annotations

import pytest

from cato_lsp.tasks.completion import Completion, CompletionLimits, CompletionPrompter, CompletionRequest
from cato_lsp.tasks.families import CATO
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def prompter(cato_tokenizer: Tokenizer) -> CompletionPrompter:
    return CompletionPrompter(cato_tokenizer, CATO, CompletionLimits(prompt_tokens=256, max_lines=3))


def accept(prompter: CompletionPrompter, marked: str, answer: str, language: str = "python") -> str:
    """The document after the completion is accepted; the document itself if there is none."""
    snapshot = Snapshot("file:///a", language, 1, marked.replace("‸", ""))
    plan = prompter.plan(CompletionRequest(snapshot, marked.index("‸"), invoked=True))
    assert plan is not None
    stream = plan.stream()
    stream.feed(answer)
    completion = stream.result()
    return snapshot.text if completion is None else completion.apply(snapshot.text)


def test_multi_line_completions_can_be_limited_vscode_copilot_release_7492(
    prompter: CompletionPrompter,
) -> None:
    body = "".join(f"    a{number} = {number}\n" for number in range(9))
    accepted = accept(prompter, "def f():‸", "\n" + body)
    assert accepted == "def f():\n    a0 = 0\n    a1 = 1\n    a2 = 2"


def test_auto_closed_brackets_are_not_doubled_vscode_187151_copilot_cmp_22(prompter: CompletionPrompter) -> None:
    assert accept(prompter, "foo(bar[‸])", "0])\n") == "foo(bar[0])"
    assert accept(prompter, 'foo("‸")', 'x")\n') == 'foo("x")'
    assert accept(prompter, "foo({‸})", "a: 1})\n", "javascript") == "foo({a: 1})"


def test_inserting_in_the_middle_of_a_line_keeps_the_rest_of_it_supermaven_80(
    prompter: CompletionPrompter,
) -> None:
    assert accept(prompter, "x = ‸ + tail(1)\n", " head(0) + tail(1)\n") == "x = head(0) + tail(1)\n"
    assert accept(prompter, "x = ‸ + tail(1)\n", " 5\ny = 3\n") == "x = 5 + tail(1)\n"


def test_an_answer_never_indents_with_another_size_than_the_document_tabby_3263(
    prompter: CompletionPrompter,
) -> None:
    document = "if a:\n  b()\n  if c:‸\n"
    assert accept(prompter, document, "\n      d()\n") == "if a:\n  b()\n  if c:\n    d()\n"


def test_no_leading_space_is_added_to_one_already_typed_tabby_3261(prompter: CompletionPrompter) -> None:
    assert accept(prompter, "return ‸\n", " x\n") == "return x\n"


def test_the_model_is_never_asked_with_blanks_at_the_end_llama_vscode_72(
    prompter: CompletionPrompter, cato_tokenizer: Tokenizer
) -> None:
    for text in ("if a:\n        ", "x = ", "x =\t"):
        snapshot = Snapshot("file:///a", "python", 1, text)
        plan = prompter.plan(CompletionRequest(snapshot, len(text)))
        assert plan is not None
        last = plan.prompt_ids[-1]
        assert last == cato_tokenizer.token_id("<|fim_middle|>") or cato_tokenizer.decode([last]).strip()


def test_ghost_text_has_no_stray_carriage_return_llm_ls_87(prompter: CompletionPrompter) -> None:
    assert accept(prompter, "def f():‸", "\r\n    a\r\n") == "def f():\n    a"
    assert accept(prompter, "a = 1\r\nb = ‸\r\n", " 2\r\nc\r\n") == "a = 1\r\nb = 2\r\n"


def test_a_range_never_reaches_outside_of_its_line_helix_9624(prompter: CompletionPrompter) -> None:
    long_answer = " + ".join(f"value_{number}" for number in range(500))
    assert accept(prompter, "x = ‸", f" {long_answer}\n") == f"x = {long_answer}"
    snapshot = Snapshot("file:///a", "python", 1, "")
    plan = prompter.plan(CompletionRequest(snapshot, 99, invoked=True))
    assert plan is not None
    stream = plan.stream()
    stream.feed("import os\n")
    assert stream.result() == Completion(0, 0, "import os")


def test_the_prompt_of_a_huge_file_is_as_small_as_any_turbopilot_3(prompter: CompletionPrompter) -> None:
    text = "value = compute(other)\n" * 100_000
    plan = prompter.plan(CompletionRequest(Snapshot("file:///a", "python", 1, text), len(text) // 2))
    assert plan is None or len(plan.prompt_ids) <= 256


def test_emoji_and_cjk_are_whole_in_prompt_and_answer_tern_159(
    prompter: CompletionPrompter, cato_tokenizer: Tokenizer
) -> None:
    text = "名前 = '🙂'\nprint("
    plan = prompter.plan(CompletionRequest(Snapshot("file:///a.py", "python", 1, text), len(text)))
    assert plan is not None
    assert plan.cut is not None
    assert text in cato_tokenizer.decode([*plan.prompt_ids, *plan.cut.ids]).replace("a.py\n", "")
    assert accept(prompter, "print(‸)\n", "名前 + '🙂')\n") == "print(名前 + '🙂')\n"


def test_typing_along_a_suggestion_never_doubles_what_is_typed_neovim_36529(prompter: CompletionPrompter) -> None:
    """An editor goes on showing an item while a person types along, and inserts it over the range up to the cursor."""
    for document in ("x = fo‸\n", "x = ‸\n", "print(ba‸)\n"):
        offset = document.index("‸")
        text = document.replace("‸", "")
        request = CompletionRequest(Snapshot("file:///a.py", "python", 1, text), offset)
        plan = prompter.plan(request)
        assert plan is not None
        stream = plan.stream()
        stream.feed("obar + r\n")
        item = stream.result()
        assert item is not None
        inserted = item.inserted(request)
        assert inserted is not None
        for typed in range(len(inserted)):
            now = text[:offset] + inserted[:typed] + text[offset:]
            assert item.text.startswith(now[item.start : offset + typed])
            assert now[: item.start] + item.text + now[item.end + typed :] == item.apply(text)
