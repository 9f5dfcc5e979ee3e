"""The way of one completion: where it is offered, what it replaces, and that it harms nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as FastTokenizer

from cato_lsp.tasks.brackets import scan
from cato_lsp.tasks.completion import (
    Completion,
    CompletionLimits,
    CompletionPrompter,
    CompletionRequest,
    SelectedCompletion,
)
from cato_lsp.tasks.cursor import Cursor
from cato_lsp.tasks.families import CATO, PLAIN
from cato_lsp.tasks.model_format import read_model_format
from cato_lsp.tasks.postprocess.context import ShapingContext
from cato_lsp.tasks.postprocess.partial_line import cut_at_sound_end
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer, TokenizerError

Training = Callable[[list[str]], FastTokenizer]

pieces = st.sampled_from(
    [
        "x",
        "def f(a):",
        "\n",
        "\r\n",
        "    ",
        "\t",
        "return 1",
        "漢字",
        "🙂",
        " ",
        "}",
        "{",
        "(",
        ")",
        '"',
        "'",
        "if a:",
    ]
)
documents = st.lists(pieces, max_size=40).map("".join)
languages = st.sampled_from(["python", "javascript", "go", "rust", "yaml", "", "nothing"])


@pytest.fixture(scope="module")
def prompter(cato_tokenizer: Tokenizer) -> CompletionPrompter:
    return CompletionPrompter(cato_tokenizer, CATO, CompletionLimits(prompt_tokens=128))


def complete(
    prompter: CompletionPrompter, request: CompletionRequest, answer: str, *, cut: bool = False
) -> Completion | None:
    plan = prompter.plan(request)
    if plan is None:
        return None
    stream = plan.stream()
    stream.feed(answer)
    return stream.result(cut=cut)


def at_cursor(marked: str, *, language: str = "python", invoked: bool = False) -> CompletionRequest:
    snapshot = Snapshot("file:///src/a.py", language, 1, marked.replace("‸", ""))
    return CompletionRequest(snapshot, marked.index("‸"), invoked)


@settings(max_examples=400, deadline=None)
@given(
    text=documents,
    at=st.floats(0, 1),
    answer=documents,
    language=languages,
    cut=st.booleans(),
    data=st.data(),
)
def test_a_completion_touches_nothing_outside_its_range(
    prompter: CompletionPrompter,
    text: str,
    at: float,
    answer: str,
    language: str,
    cut: bool,
    data: st.DataObject,
) -> None:
    offset = int(at * len(text))
    request = CompletionRequest(Snapshot("file:///a", language, 1, text), offset, invoked=True)
    plan = prompter.plan(request)
    assert plan is not None
    stream = plan.stream()
    position = 0
    while position < len(answer):
        size = data.draw(st.integers(1, 8))
        if stream.feed(answer[position : position + size]):
            break
        position += size
    completion = stream.result(cut=cut)
    if completion is None:
        return
    assert 0 <= completion.start <= offset <= completion.end + 1
    assert completion.end <= len(text)
    replaced = text[completion.start : completion.end]
    assert "\n" not in replaced
    assert "\r\n" not in replaced
    applied = completion.apply(text)
    assert applied == text[: completion.start] + completion.text + text[completion.end :]
    # What is replaced comes back: nothing a person has written is lost.
    before_cursor = text[completion.start : min(offset, completion.end)]
    assert completion.text.startswith(before_cursor)
    inserted = iter(completion.text)
    assert all(character in inserted for character in replaced.replace(" ", "").replace("\t", ""))
    if "\n" in text:
        assert ("\r\n" in completion.text) <= (request.snapshot.newline == "\r\n")
    assert completion.text.strip()


@settings(max_examples=150, deadline=None)
@given(text=documents, at=st.floats(0, 1), answer=documents, language=languages)
def test_the_size_of_the_pieces_an_answer_comes_in_does_not_matter(
    prompter: CompletionPrompter, text: str, at: float, answer: str, language: str
) -> None:
    request = CompletionRequest(Snapshot("file:///a", language, 1, text), int(at * len(text)), invoked=True)
    plan = prompter.plan(request)
    assert plan is not None
    results: list[Completion | None] = []
    for size in (1, 5, len(answer) or 1):
        stream = plan.stream()
        for start in range(0, len(answer), size):
            if stream.feed(answer[start : start + size]):
                break
        results.append(stream.result())
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("language", "marked", "quiet"),
    [
        ("python", "x = 1  \n# some wor‸\n", True),
        ("python", "x = 1  # some wor‸\n", True),
        ("python", 'def f():\n    """Return\n    the ‸\n    """\n', True),
        ("python", 'x = "some ‸"\n', False),
        ("python", "x = ‸\n", False),
        ("javascript", "/*\n * some ‸\n */\nf();\n", True),
        ("javascript", "f(‸);\n", False),
        ("go", "// some ‸\n", True),
    ],
)
def test_completions_in_comments_can_be_switched_off(
    cato_tokenizer: Tokenizer, language: str, marked: str, quiet: bool
) -> None:
    prompter = CompletionPrompter(cato_tokenizer, CATO, CompletionLimits(prompt_tokens=128, in_comments=False))
    assert (prompter.plan(at_cursor(marked, language=language)) is None) is quiet
    assert prompter.plan(at_cursor(marked, language=language, invoked=True)) is not None


def test_the_range_covers_the_word_before_the_cursor(prompter: CompletionPrompter) -> None:
    assert complete(prompter, at_cursor("x = sel‸\n"), "f.y\n") == Completion(4, 7, "self.y")


def test_a_completion_has_the_documents_line_endings(prompter: CompletionPrompter) -> None:
    completion = complete(prompter, at_cursor("def f():‸\r\n"), "\n    a = 1\n    return a\n")
    assert completion is not None
    assert completion.text == "\r\n    a = 1\r\n    return a"


def test_no_call_inside_a_word_unless_invoked(prompter: CompletionPrompter) -> None:
    assert prompter.plan(at_cursor("val‸ue = 1\n")) is None
    assert prompter.plan(at_cursor("val‸ue = 1\n", invoked=True)) is not None


def test_no_call_in_an_empty_document_unless_invoked(prompter: CompletionPrompter) -> None:
    assert prompter.plan(at_cursor("\n‸")) is None
    assert prompter.plan(at_cursor("‸", invoked=True)) is not None


def test_a_selected_menu_item_is_extended_within_its_range(prompter: CompletionPrompter) -> None:
    request = CompletionRequest(
        Snapshot("file:///a.py", "python", 1, "os.pa\n"), 5, selected=SelectedCompletion(3, 5, "path")
    )
    completion = complete(prompter, request, ".join(a, b)\n")
    assert completion == Completion(3, 5, "path.join(a, b)")


@pytest.mark.parametrize("above", [0, 1000])
@pytest.mark.parametrize(("word", "repeated"), [("pat", "pat"), ("x" * 300, "x" * 200), ("", "")])
def test_a_completion_repeats_the_word_that_was_begun_wherever_it_is(
    prompter: CompletionPrompter, above: int, word: str, repeated: str
) -> None:
    text = "#" * above + f"\nos.{word}\n"
    offset = len(text) - 1
    completion = complete(prompter, CompletionRequest(Snapshot("file:///a.py", "python", 1, text), offset), "h_of(a)\n")
    assert completion == Completion(offset - len(repeated), offset, f"{repeated}h_of(a)")


@given(start=st.integers(-5, 20), end=st.integers(-5, 20), offset=st.integers(-5, 30))
def test_offsets_and_selections_out_of_range_are_tolerated(
    prompter: CompletionPrompter, start: int, end: int, offset: int
) -> None:
    text = "a = 1\nb ="
    request = CompletionRequest(
        Snapshot("file:///a.py", "python", 1, text), offset, True, SelectedCompletion(start, end, "foo")
    )
    completion = complete(prompter, request, " 2\n")
    assert completion is None or 0 <= completion.start <= completion.end <= len(text)


def test_a_line_gets_fewer_tokens_than_a_block(prompter: CompletionPrompter) -> None:
    line, block = prompter.plan(at_cursor("x = ‸\n")), prompter.plan(at_cursor("def f():‸\n"))
    assert line is not None
    assert block is not None
    assert line.max_tokens < block.max_tokens


def test_an_answer_is_complete_as_soon_as_its_line_ends(prompter: CompletionPrompter) -> None:
    plan = prompter.plan(at_cursor("x = ‸\n"))
    assert plan is not None
    stream = plan.stream()
    assert not stream.feed(" 1")
    assert not stream.feed(" + 2")
    assert stream.feed("\ny")
    assert stream.result() == Completion(4, 4, "1 + 2")


def test_an_answer_cut_by_the_time_limit_gives_its_usable_part(prompter: CompletionPrompter) -> None:
    plan = prompter.plan(at_cursor("def f(values):‸\n"))
    assert plan is not None
    stream = plan.stream()
    results: list[str] = []
    for piece in ("\n    total", " = su", "m(values)\n", "    return to", "tal"):
        stream.feed(piece)
        completion = stream.result(cut=True)
        results.append("" if completion is None else completion.text)
    body = "\n    total = sum(values)"
    assert results == ["", "\n    total", body, body, body]
    full = stream.result()
    assert full is not None
    assert full.text == body + "\n    return total"


@pytest.mark.parametrize(
    ("marked", "answer", "following"),
    [
        ("def f():\n    x = ‸\n", "1\n", "def f():\n    x = 1\n    ‸\n"),
        ("def f():\r\n\tx = ‸\r\n", "1\n", "def f():\r\n\tx = 1\r\n\t‸\r\n"),
        ("f(‸)\n", "a", "f(a‸)\n"),
        ("if a‸\n", ":\n    b\n", "if a:‸\n"),
    ],
)
def test_the_follow_up_request_is_where_the_user_continues(
    prompter: CompletionPrompter, marked: str, answer: str, following: str
) -> None:
    request = at_cursor(marked, invoked=True)
    completion = complete(prompter, request, answer)
    assert completion is not None
    after = completion.follow_up(request)
    assert f"{after.snapshot.text[: after.offset]}‸{after.snapshot.text[after.offset :]}" == following


def test_stop_tokens_are_those_of_the_family_and_the_model(cato_tokenizer: Tokenizer) -> None:
    plan = CompletionPrompter(cato_tokenizer, CATO, eos_token_ids=(690,)).plan(at_cursor("x = ‸"))
    assert plan is not None
    assert plan.stop_token_ids == sorted([*map(cato_tokenizer.token_id, CATO.control), 690])  # pyright: ignore


def model_folder(path: Path, tokenizer: FastTokenizer, config: dict[str, object]) -> Path:
    path.mkdir()
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return path


def test_the_format_is_read_from_the_model_folder(tmp_path: Path, byte_level: Training) -> None:
    config: dict[str, object] = {
        "model_type": "qwen2",
        "eos_token_id": [0, 7],
        "max_position_embeddings": 2048,
    }
    found = read_model_format(model_folder(tmp_path / "default", byte_level(list(CATO.control)), config))
    assert (found.family, found.eos_token_ids, found.context_tokens, found.note) == (CATO, (0, 7), 2048, "")


def test_a_model_without_fim_tokens_continues_the_text_with_a_note(tmp_path: Path, byte_level: Training) -> None:
    folder = model_folder(tmp_path / "gpt2", byte_level(["<|endoftext|>"]), {"model_type": "gpt2"})
    found = read_model_format(folder)
    assert found.family is PLAIN
    assert "looked for" in found.note
    plan = CompletionPrompter(found.tokenizer, found.family).plan(at_cursor("x = ‸\ny"))
    assert plan is not None
    assert found.tokenizer.decode(plan.prompt_ids) == "x ="


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        read_model_format(tmp_path)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        read_model_format(tmp_path / "missing")


PIECES = ["a", "bc", " ", "(", ")", "[", "]", "{", "}", '"', "'", "f", "\\", ",", " + "]


@given(
    before=st.sampled_from(["x = ", "f(", "print('", 'x = "']),
    answer=st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
)
def test_a_cut_answer_leaves_nothing_open_that_it_opened(before: str, answer: str) -> None:
    cursor = Cursor.at(before, len(before), "python")
    shown = cut_at_sound_end(answer, ShapingContext(cursor, max_lines=1, cut=True))
    assert answer.startswith(shown)
    state = scan(shown, quotes=cursor.language.quotes, quote=cursor.quote)
    assert not state.open
    assert not state.quote or (state.quote == cursor.quote and state.quote not in shown)


CUTS = [
    ("x = ‸", " value", "_of(a)", ""),
    ("x = ‸", " value", "(a)", " value"),
    ("x = ‸", " value(a)", "\n", " value(a)"),
    ("x = ‸", " value(a)", "", " value(a)"),
    ("if a‸", ":", "\n", ":"),
    ("x = ‸", ' value + "text', ' more"', " value"),
    ("print('‸", "some text", " more", "some text"),
    ("x = ‸", " a +", " b", " a"),
    ("x = ‸", " a  #", " why", " a"),
    ("x = ‸", " f(a", ", b)", " f"),
    ("x = ‸", " f(a)[b", "]", " f(a)"),
    ("x = f(‸", "a", ", b)", "a"),
    ("x = ‸", ' a + f"text', ' more"', " a"),
    ("x = ‸", ' a + """text', ' more"""', " a"),
    ("x = ‸", ' f(a, "(", b', ")", " f"),
    ("print('‸", "a' + f(b", ")", "a' + f"),
    ("def f():‸", "\n    a = 1\n    b", " = 2", "\n    a = 1"),
    ("def f():‸", "\n    a = 1\n    b = 2", "\n", "\n    a = 1\n    b = 2"),
    ("x = ‸", "", " a", ""),
]


@pytest.mark.parametrize(("marked", "sure", "unsure", "shown"), CUTS)
def test_an_answer_with_falling_confidence_ends_at_a_sensible_place(
    cato_tokenizer: Tokenizer, marked: str, sure: str, unsure: str, shown: str
) -> None:
    request = CompletionRequest(Snapshot("file:///a.py", "python", 1, marked.replace("‸", "")), marked.index("‸"))
    plan = CompletionPrompter(cato_tokenizer, CATO).plan(request)
    assert plan is not None
    stream = plan.stream()
    stream.feed(sure)
    stream.end_before(unsure)
    completion = stream.result()
    inserted = "" if completion is None else completion.inserted(request)
    assert (inserted or "").strip(" ") == shown.strip(" ")
