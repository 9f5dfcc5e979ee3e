"""Answers that are used again while a person types along with them, instead of asking the model once more."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from cato_lsp.tasks.completion import Completion, CompletionRequest
from cato_lsp.tasks.snapshot import Snapshot

_REACH = 512
"""Characters on each side of a gap that must be the same for an answer to hold."""
_LONGEST_TYPED = 256
"""Typed characters after which an answer is no longer looked for."""


@dataclass(slots=True)
class TypeThroughStats:
    """How often an answer could be used again."""

    lookups: int = 0
    hits: int = 0

    @property
    def hit_rate(self) -> float:
        """Share of look-ups that were answered, 0 if there were none."""
        return self.hits / self.lookups if self.lookups else 0.0


@dataclass(slots=True)
class _Answer:
    text: str
    final: bool
    """False while it is still being written."""


_Gap = tuple[str, str]
"""The text right before and right after a gap, each of at most 512 characters."""


class TypeThroughCache:
    """The last answers of each document, found again by the text around their gap.

    An answer given for ``before‸after`` is the answer for ``before + typed‸after`` too, less ``typed``, if it
    begins with ``typed``. A gap is known by the 512 characters on either side, so edits further away do not
    matter. An answer that is still being written is kept the same way and grows by each :meth:`put`.

    :param documents: documents remembered; the one not used for longest is forgotten first.
    :param answers: answers remembered for each document.
    """

    def __init__(self, documents: int = 32, answers: int = 64) -> None:
        self._documents: OrderedDict[str, OrderedDict[_Gap, _Answer]] = OrderedDict()
        self._most_documents = documents
        self._most_answers = answers
        self.stats = TypeThroughStats()

    def put(self, snapshot: Snapshot, offset: int, text: str, *, final: bool = True) -> None:
        """Remember that ``text`` goes into the gap at ``offset``; takes the place of an earlier answer there.

        :param text: what follows the cursor, without the word before it that an item's range repeats.
        :param final: false for the first part of an answer that is still being written.
        """
        answers = self._documents.setdefault(snapshot.uri, OrderedDict())
        self._documents.move_to_end(snapshot.uri)
        gap = (_before(snapshot.text, offset, _REACH), _after(snapshot.text, offset))
        answers[gap] = _Answer(text, final)
        answers.move_to_end(gap)
        while len(answers) > self._most_answers:
            answers.popitem(last=False)
        while len(self._documents) > self._most_documents:
            self._documents.popitem(last=False)

    def put_completion(self, request: CompletionRequest, completion: Completion, *, final: bool = True) -> None:
        """Remember the completion made for a request; one that replaces text after the cursor is not kept."""
        snapshot, offset = request.composed()
        inserted = completion.inserted(request)
        if inserted is not None:
            self.put(snapshot, offset, inserted, final=final)

    def complete(self, request: CompletionRequest) -> Completion | None:
        """The completion that an earlier answer gives for a request, ``None`` if none fits."""
        rest = self.lookup(*request.composed())
        return None if rest is None else Completion.of(request, rest)

    def lookup(self, snapshot: Snapshot, offset: int) -> str | None:
        """What is left of an earlier answer for the cursor at ``offset``; the longest, if there are several.

        ``None`` if no answer fits, or one fits but all of it has been typed.
        """
        self.stats.lookups += 1
        fitting = self._fitting(snapshot, offset)
        remainders = [answer.text[typed:] for answer, typed in fitting if typed >= 0]
        longest = max(remainders, key=len, default="")
        if not longest:
            return None
        self.stats.hits += 1
        return longest

    def awaits(self, snapshot: Snapshot, offset: int) -> bool:
        """Whether an unfinished answer agrees with all that was typed: it is better awaited than asked
        anew.
        """
        return any(not answer.final for answer, _ in self._fitting(snapshot, offset))

    def forget(self, uri: str) -> None:
        """Forget a document."""
        self._documents.pop(uri, None)

    def _fitting(self, snapshot: Snapshot, offset: int) -> list[tuple[_Answer, int]]:
        """The answers that fit at ``offset``, each with the number of its characters that have been typed.

        An unfinished answer that was typed beyond its present end counts -1.
        """
        answers = self._documents.get(snapshot.uri)
        if not answers:
            return []
        self._documents.move_to_end(snapshot.uri)
        before = _before(snapshot.text, offset, _REACH + _LONGEST_TYPED)
        after = _after(snapshot.text, offset)
        fitting: list[tuple[_Answer, int]] = []
        for (gap_before, gap_after), answer in answers.items():
            if gap_after != after:
                continue
            typed = _typed_along(before, gap_before, answer)
            if typed is not None:
                fitting.append((answer, typed))
        return fitting


def _typed_along(before: str, gap_before: str, answer: _Answer) -> int | None:
    along = gap_before + answer.text
    for typed in range(min(len(answer.text), _LONGEST_TYPED) + 1):
        if before.endswith(along[: len(gap_before) + typed]):
            return typed
    if not answer.final:
        ahead = before.rfind(along)
        if ahead >= 0 and "\n" not in before[ahead + len(along) :]:
            return -1
    return None


def _before(text: str, offset: int, reach: int) -> str:
    """Up to ``reach`` characters before ``offset``; a mark tells the start of the document from any other
    place.
    """
    return text[offset - reach : offset] if offset >= reach else "\0" + text[:offset]


def _after(text: str, offset: int) -> str:
    return text[offset : offset + _REACH]
