"""Reuses answers while the user types along with them, instead of calling the model again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from cato_lsp.tasks.completion import Completion, CompletionRequest
from cato_lsp.tasks.snapshot import Snapshot

_REACH = 512
"""Characters on each side of a gap that must be unchanged for an answer to fit."""
_LONGEST_TYPED = 256
"""Typed characters after which an answer is no longer searched for."""


@dataclass(slots=True)
class TypeThroughStats:
    """How often an answer could be reused."""

    lookups: int = 0
    hits: int = 0

    @property
    def hit_rate(self) -> float:
        """Share of look-ups that were answered, 0 if there were none."""
        return self.hits / self.lookups if self.lookups else 0.0


_Gap = tuple[str, str]
"""The text right before and right after a gap, each of at most `_REACH` characters."""


class TypeThroughCache:
    """The last answers of each document, by the text around their gap.

    An answer for ``before‸after`` is also the answer for ``before + typed‸after``, without its first characters
    ``typed``, if it begins with ``typed``. A gap is identified by the 512 characters on either side, so edits further
    away do not matter.

    :param documents: documents remembered; the least recently used one is forgotten first.
    :param answers: answers remembered for each document.
    """

    def __init__(self, documents: int = 32, answers: int = 64) -> None:
        self._documents: OrderedDict[str, OrderedDict[_Gap, str]] = OrderedDict()
        self._most_documents = documents
        self._most_answers = answers
        self.stats = TypeThroughStats()

    def put(self, snapshot: Snapshot, offset: int, text: str) -> None:
        """Remember that ``text`` goes into the gap at ``offset``, in place of an earlier answer there.

        :param text: the text after the cursor, without the word before it that the completion's range repeats.
        """
        answers = self._documents.setdefault(snapshot.uri, OrderedDict())
        self._documents.move_to_end(snapshot.uri)
        gap = (_before(snapshot.text, offset, _REACH), _after(snapshot.text, offset))
        answers[gap] = text
        answers.move_to_end(gap)
        while len(answers) > self._most_answers:
            answers.popitem(last=False)
        while len(self._documents) > self._most_documents:
            self._documents.popitem(last=False)

    def put_completion(self, request: CompletionRequest, completion: Completion) -> None:
        """Remember the completion of a request. One that replaces text after the cursor is not kept."""
        snapshot, offset = request.composed()
        inserted = completion.inserted(request)
        if inserted is not None:
            self.put(snapshot, offset, inserted)

    def complete(self, request: CompletionRequest) -> Completion | None:
        """The completion of a request from an earlier answer, ``None`` if none fits."""
        rest = self.lookup(*request.composed())
        return None if rest is None else Completion.of(request, rest)

    def lookup(self, snapshot: Snapshot, offset: int) -> str | None:
        """The rest of an earlier answer for the cursor at ``offset``; the longest, if several fit.

        ``None`` if no answer fits, or if all of it has been typed.
        """
        self.stats.lookups += 1
        longest = max(self._rests(snapshot, offset), key=len, default="")
        if not longest:
            return None
        self.stats.hits += 1
        return longest

    def forget(self, uri: str) -> None:
        """Forget a document."""
        self._documents.pop(uri, None)

    def _rests(self, snapshot: Snapshot, offset: int) -> Iterator[str]:
        """The untyped rest of each answer that fits at ``offset``."""
        answers = self._documents.get(snapshot.uri)
        if not answers:
            return
        self._documents.move_to_end(snapshot.uri)
        before = _before(snapshot.text, offset, _REACH + _LONGEST_TYPED)
        after = _after(snapshot.text, offset)
        for (gap_before, gap_after), answer in answers.items():
            if gap_after == after:
                typed = _typed_along(before, gap_before, answer)
                if typed is not None:
                    yield answer[typed:]


def _typed_along(before: str, gap_before: str, answer: str) -> int | None:
    """How many characters of the answer have been typed; ``None`` if the text does not agree with it."""
    along = gap_before + answer
    for typed in range(min(len(answer), _LONGEST_TYPED) + 1):
        if before.endswith(along[: len(gap_before) + typed]):
            return typed
    return None


def _before(text: str, offset: int, reach: int) -> str:
    """Up to ``reach`` characters before ``offset``; a null character marks the start of the document."""
    return text[offset - reach : offset] if offset >= reach else "\0" + text[:offset]


def _after(text: str, offset: int) -> str:
    return text[offset : offset + _REACH]
