import ast
import math
from pathlib import Path

import pytest
import torch
from evaluation.baselines import FiveGram, copy_most_similar_line
from evaluation.measures import bits_per_byte, edit_similarity, is_one_sentence, mentions_identifier
from evaluation.places import Place, block_places, code_lines, line_places
from evaluation.report import completions_table, figures_table
from tokenizers import Tokenizer
from torch import Tensor, nn
from training.corpus import SourceFile
from training.tokenizer import train_tokenizer

FOLDER = Path(__file__).parents[2] / "scripts"
FILES = [
    SourceFile("scripts", path.name, path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*/[a-m]*.py"))[:8]
]
TOKENIZER: Tokenizer = train_tokenizer([file.text for file in FILES], 600)


def test_putting_the_wanted_text_back_restores_the_file() -> None:
    originals = {file.path: file.text for file in FILES}
    for place in [*line_places(FILES, 40), *block_places(FILES, 20)]:
        assert place.text[: place.offset] + place.wanted + place.text[place.offset :] == originals[place.path]


def test_places_are_the_same_every_time() -> None:
    assert line_places(FILES, 10) == line_places(FILES, 10)


def test_a_line_place_wants_the_rest_of_one_line_of_code() -> None:
    for place in line_places(FILES, 40):
        assert place.line.strip()
        assert "\n" not in place.wanted
        assert len(place.wanted) >= 3


def test_a_block_place_wants_two_lines_or_more() -> None:
    for place in block_places(FILES, 20):
        assert not place.line.strip()
        assert 2 <= place.wanted.count("\n") + 1 <= 12


def test_comments_and_docstrings_are_no_code_lines() -> None:
    text = '"""Doc."""\n# note\nx = 1\n\n\ndef f():\n    """Doc\n    more."""\n    return "a"\n'
    assert code_lines(text) == {2, 5, 8}


def test_the_copy_baseline_takes_the_nearest_line_that_begins_alike() -> None:
    text = "size = far()\nsize = near()\nsize ="
    assert copy_most_similar_line(Place("a.py", text, len(text), "")) == " near()"


def test_the_copy_baseline_is_empty_without_a_match() -> None:
    assert copy_most_similar_line(Place("a.py", "abc\nxyz", 7, "")) == ""


def test_the_five_gram_baseline_repeats_what_it_has_counted_through_a_cut_word() -> None:
    text = "    for file in sorted(files):\n" * 3
    model = FiveGram(TOKENIZER, [text])
    before = text + "    for file in sor"
    assert model(Place("a.py", before, len(before), "")) == "ted(files):"


def test_edit_similarity_is_one_for_equal_and_zero_for_foreign_text() -> None:
    assert edit_similarity("abc", "abc") == 1.0
    assert edit_similarity("abc", "xyz") == 0.0


@pytest.mark.parametrize(
    ("text", "good"),
    [("Return the size.", True), ("Return the size. And more.", False), ("return it.", False), ("No end", False)],
)
def test_one_sentence_is_distinguished_from_none_and_from_two(text: str, good: bool) -> None:
    assert is_one_sentence(text) is good


def test_a_docstring_mentions_an_identifier_by_a_word_of_it() -> None:
    source = "def read_config(path):\n    return open(path)"
    assert mentions_identifier("Read the configuration.", source)
    assert not mentions_identifier("Does some other thing.", source)


class Uniform(nn.Module):
    """Thinks every token equally likely."""

    def forward(self, ids: Tensor) -> object:
        logits = torch.zeros(*ids.shape, TOKENIZER.get_vocab_size())
        return type("Output", (), {"logits": logits})


def test_bits_per_byte_scores_every_token_once_whatever_the_windows() -> None:
    text = FILES[0].text
    tokens = len(TOKENIZER.encode(text).ids)
    expected = tokens * math.log2(TOKENIZER.get_vocab_size()) / len(text.encode())
    for window, stride in ((64, 32), (10_000, 5_000), (100, 99)):
        assert bits_per_byte(Uniform(), TOKENIZER, [text], window=window, stride=stride) == pytest.approx(expected)


def test_the_sources_of_the_places_are_python() -> None:
    for file in FILES:
        ast.parse(file.text)


@pytest.mark.parametrize(("line", "wanted", "within"), [("se", "lf.x", True), ("a_", "b", True), ("x =", " 1", False)])
def test_a_cursor_is_in_a_word_when_one_goes_on(line: str, wanted: str, within: bool) -> None:
    assert Place("a.py", f"y\n{line}", 2 + len(line), wanted).within_word is within


def test_figures_are_shares_or_numbers_and_have_baselines() -> None:
    name = "rest of a line: exact match"
    table = figures_table("default", {"bits per byte": 1.0, name: 0.125}, {"copy": {name: 0.1}})
    assert table.splitlines()[0] == "| measure | default | copy |"
    assert table.splitlines()[2:] == ["| bits per byte | 1.000 |  |", f"| {name} | 12.5 % | 10.0 % |"]


def test_completions_are_shown_on_one_line_each_and_empty_ones_as_nothing() -> None:
    rows = [{"path": "a.py", "line": "x = a |", "wanted": "b\nc", "completion": ""}]
    assert completions_table(rows).splitlines()[2] == "| a.py | `` x = a \\| `` | `` b⏎c `` | (nothing) |"
