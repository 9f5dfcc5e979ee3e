"""Answers used again while a person types along."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.tasks.completion import Completion, CompletionRequest, SelectedCompletion
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.typethrough import TypeThroughCache

texts = st.text("ab (\n漢🙂", max_size=30)


def document(text: str, uri: str = "file:///a.py") -> Snapshot:
    return Snapshot(uri, "python", 1, text)


@given(before=texts, answer=st.text("ab(\n漢", min_size=2, max_size=12), after=texts, data=st.data())
def test_typing_along_an_answer_leaves_its_rest(before: str, answer: str, after: str, data: st.DataObject) -> None:
    typed = data.draw(st.integers(0, len(answer) - 1))
    cache = TypeThroughCache()
    cache.put(document(before + after), len(before), answer)
    now = document(before + answer[:typed] + after)
    assert cache.lookup(now, len(before) + typed) == answer[typed:]


@given(before=texts, after=texts, typed=st.text("xyz", min_size=1, max_size=3))
def test_typing_something_else_is_a_miss(before: str, after: str, typed: str) -> None:
    cache = TypeThroughCache()
    cache.put(document(before + after), len(before), "answer")
    assert cache.lookup(document(before + typed + after), len(before) + len(typed)) is None


def test_an_answer_typed_to_its_end_is_a_miss() -> None:
    cache = TypeThroughCache()
    cache.put(document("a = "), 4, "b")
    assert cache.lookup(document("a = b"), 5) is None


def test_edits_far_away_do_not_matter_and_near_ones_do() -> None:
    cache = TypeThroughCache()
    far = "x = 1\n" * 200
    cache.put(document(far + "a = \n" + far), len(far) + 4, "bcd")
    moved = "import os\n" + far
    assert cache.lookup(document(moved + "a = b\n" + far), len(moved) + 5) == "cd"
    changed = far[:-2] + "2\n"
    assert cache.lookup(document(changed + "a = b\n" + far), len(changed) + 5) is None
    assert cache.lookup(document(far + "a = b\ny" + far), len(far) + 5) is None


def test_a_gap_at_the_start_of_a_document_is_known_from_the_same_text_later_in_it() -> None:
    cache = TypeThroughCache()
    cache.put(document("a = \n"), 4, "b")
    assert cache.lookup(document("c = 1\na = \n"), 10) is None


def test_answers_do_not_cross_documents() -> None:
    cache = TypeThroughCache()
    cache.put(document("a = "), 4, "b")
    assert cache.lookup(document("a = ", "file:///b.py"), 4) is None


def test_a_newer_answer_replaces_the_one_for_the_same_gap() -> None:
    cache = TypeThroughCache()
    cache.put(document("a = "), 4, "foo")
    assert cache.lookup(document("a = fo"), 6) == "o"
    assert cache.lookup(document("a = foo"), 7) is None
    cache.put(document("a = "), 4, "foo.bar")
    assert cache.lookup(document("a = foo.b"), 9) == "ar"


def test_the_longest_rest_wins() -> None:
    cache = TypeThroughCache()
    cache.put(document("a = "), 4, "foo")
    cache.put(document("a = f"), 5, "oo(1, 2)")
    assert cache.lookup(document("a = fo"), 6) == "o(1, 2)"


def test_old_answers_and_documents_are_forgotten() -> None:
    cache = TypeThroughCache(documents=2, answers=2)
    for name in "abc":
        cache.put(document(f"{name} = "), 4, "1")
    assert cache.lookup(document("a = "), 4) is None
    assert cache.lookup(document("c = "), 4) == "1"
    for uri in ("file:///1", "file:///2"):
        cache.put(document("", uri), 0, "x")
    assert cache.lookup(document("c = "), 4) is None
    assert cache.lookup(document("", "file:///2"), 0) == "x"


def test_hits_are_counted() -> None:
    cache = TypeThroughCache()
    assert cache.stats.hit_rate == 0
    cache.put(document("a = "), 4, "bc")
    cache.lookup(document("a = b"), 5)
    cache.lookup(document("a = x"), 5)
    assert (cache.stats.lookups, cache.stats.hits, cache.stats.hit_rate) == (2, 1, 0.5)


def test_a_completion_is_remembered_without_the_word_before_the_cursor() -> None:
    cache = TypeThroughCache()
    cache.put_completion(CompletionRequest(document("retu"), 4), Completion(0, 4, "return x"))
    assert cache.complete(CompletionRequest(document("retur"), 5)) == Completion(0, 5, "return x")
    cache.put_completion(CompletionRequest(document("f()"), 2), Completion(2, 3, "x).y"))
    assert cache.complete(CompletionRequest(document("f(x)"), 3)) is None


def test_an_answer_is_used_for_the_menu_item_that_it_goes_on_with() -> None:
    cache = TypeThroughCache()
    cache.put(document("os.\n"), 3, "path.join(a)")
    item = SelectedCompletion(3, 5, "path")
    completion = cache.complete(CompletionRequest(document("os.pa\n"), 5, selected=item))
    assert completion == Completion(3, 5, "path.join(a)")
