import ast
import textwrap

import pytest
from training.corpus import SourceFile
from training.functions import build_examples, first_sentence, functions_of, without_docstring

SOURCE = textwrap.dedent(
    '''
    class Box:
        def grow(self, by=1):
            """Make the box larger by some amount.

            :param by: how much.
            """
            self.size = self.size + by
            return self.size

        def empty(self):
            """Not done yet, to be written one day."""
            ...
    '''
)


def examples() -> dict[str, tuple[str, str]]:
    return {e.kind: (e.prompt, e.answer) for e in build_examples([SourceFile("p", "p/box.py", SOURCE)])}


def test_a_summary_asks_with_the_source_without_docstring_and_answers_with_its_first_sentence() -> None:
    prompt, answer = examples()["summarize"]
    assert prompt == "def grow(self, by=1):\n    self.size = self.size + by\n    return self.size"
    assert answer == "Make the box larger by some amount."


def test_a_body_follows_signature_and_docstring_with_nothing_lost_between() -> None:
    prompt, answer = examples()["generate"]
    assert prompt + answer in SOURCE
    assert prompt.endswith('"""\n')


def test_a_translation_names_the_language_first() -> None:
    prompt, answer = examples()["translate"]
    assert prompt.startswith("javascript\ndef grow(self, by=1):\n")
    assert "function grow(by = 1) {" in answer


def test_functions_without_a_body_give_no_examples() -> None:
    assert [function.name for function in functions_of(SOURCE)] == ["grow"]


@pytest.mark.parametrize(
    ("documentation", "sentence"),
    [
        ("Return the size. Then more.", "Return the size."),
        ("Return the\nsize of it.\n\nMore.", "Return the size of it."),
        ("no capital letter here.", None),
        ("Without a full stop", None),
        (":class:`Foo` and so on and on.", None),
    ],
)
def test_the_first_sentence_is_taken_only_if_it_reads_as_one(documentation: str, sentence: str | None) -> None:
    assert first_sentence(documentation) == sentence


def test_a_function_without_docstring_is_left_as_it_is() -> None:
    text = "def f(x):\n    return x"
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert without_docstring(text, function) == text
