"""Summarize: documentation for one symbol, or an explanation of a selection or a file.

Code that is too long for one call is split into parts (members or pieces); their summaries are combined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from cato_lsp.scheduling.slo import TaskKind
from cato_lsp.tasks.calls import SECOND_TRY, Answer, CallEstimate, Calls, CannotDoError, ModelCall, call_for
from cato_lsp.tasks.doc_comments import document, has_convention, without_doc
from cato_lsp.tasks.prompts import Ask, Prompter, combine, explain, prose_of, summarize
from cato_lsp.tasks.repetition import is_stuck, without_repetition
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.symbols import Outline, Symbol, SymbolKind, outline_of
from cato_lsp.tasks.task import TaskRequest, TaskResult

EXPECTED_TOKENS = 40
MOST_TOKENS = 160
EXPLANATION_TOKENS = 240
MOST_PARTS = 64
_PIECE_TOKENS = 1200
"""Most tokens of a part, so that no single call delays the others."""


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    """Empty for a piece that is not a symbol."""
    source: str


def documentable(snapshot: Snapshot, start: int, end: int) -> Symbol | None:
    """The function or type at a selection that can be documented."""
    if not has_convention(snapshot.language):
        return None
    outline = outline_of(snapshot.text, snapshot.language)
    line = snapshot.text[start : snapshot.line_end(start)]
    start += len(line) - len(line.lstrip())
    chosen = outline.within(start, end)
    return chosen[0] if len(chosen) == 1 else outline.enclosing(start, min(max(start, end), len(snapshot.text)))


class Summarization:
    """Writes the documentation of one symbol. The result is an edit."""

    note = ""

    def __init__(self, snapshot: Snapshot, symbol: Symbol, prompter: Prompter) -> None:
        self._outline = outline_of(snapshot.text, snapshot.language)
        self._symbol = symbol
        self._digest = _Digest(prompter, snapshot.language, summarize, MOST_TOKENS)
        self._parts = _parts_of(self._outline, symbol, self._digest)

    @classmethod
    def request(cls, snapshot: Snapshot, symbol: Symbol) -> TaskRequest:
        """The request for this task."""
        return TaskRequest(TaskKind.SUMMARIZATION, snapshot.uri, symbol.span.start, partial(cls, snapshot, symbol))

    def estimate(self) -> list[CallEstimate]:
        """See `Task.estimate`."""
        return self._digest.estimate(self._parts)

    async def run(self, calls: Calls) -> TaskResult | None:
        """See `Task.run`."""
        _, answer = await self._digest.combine(calls, self._parts, lambda _prose: None)
        prose = _prose(answer)
        edit = document(self._outline, self._symbol, prose)
        return TaskResult(edit, unverified=not answer.complete) if prose else None


class Explanation:
    """Explains a selection, or a file. The result is Markdown."""

    note = ""

    def __init__(self, snapshot: Snapshot, start: int, end: int, prompter: Prompter) -> None:
        self._title = snapshot.uri.rpartition("/")[2]
        self._digest = _Digest(prompter, snapshot.language, explain, EXPLANATION_TOKENS)
        outline = outline_of(snapshot.text, snapshot.language)
        self._parts = _parts_between(outline, start, end, self._digest)

    @classmethod
    def request(cls, snapshot: Snapshot, start: int, end: int) -> TaskRequest:
        """The request for this task."""
        place = -1 - start  # the documentation of a symbol at the same position is another task
        return TaskRequest(TaskKind.SUMMARIZATION, snapshot.uri, place, partial(cls, snapshot, start, end))

    def estimate(self) -> list[CallEstimate]:
        """See `Task.estimate`."""
        return self._digest.estimate(self._parts)

    async def run(self, calls: Calls) -> TaskResult:
        """See `Task.run`."""
        details, answer = await self._digest.combine(calls, self._parts, lambda text: calls.show(self._shown([], text)))
        return TaskResult(self._shown(details, _prose(answer)), unverified=not answer.complete)

    def _shown(self, details: Sequence[tuple[str, str]], prose: str) -> str:
        listed = "".join(f"\n- `{name}`: {text}" for name, text in details if name and text)
        return f"# {self._title}\n\n{prose}\n{listed}\n" if listed else f"# {self._title}\n\n{prose}\n"


class _Digest:
    """Asks for an answer for each part, then for one that combines them."""

    def __init__(self, prompter: Prompter, language: str, ask: Callable[[str, str], Ask], most_tokens: int) -> None:
        self.prompter = prompter
        self._language = language
        self._ask = ask
        self._most = most_tokens

    def fits(self, source: str) -> bool:
        """Whether the source fits into one call."""
        room = self.prompter.context_tokens - EXPECTED_TOKENS * 2 - 200
        return self.prompter.count(source) <= min(room, _PIECE_TOKENS)

    def estimate(self, parts: Sequence[_Part]) -> list[CallEstimate]:
        """The expected cost of each call."""
        each = [CallEstimate(self.prompter.count(part.source), EXPECTED_TOKENS) for part in parts]
        return [*each, self._reduction(len(parts))] if len(parts) > 1 else each

    async def combine(
        self, calls: Calls, parts: Sequence[_Part], preview: Callable[[str], None]
    ) -> tuple[list[tuple[str, str]], Answer]:
        """Make the calls. Returns name and summary of each part, and the combined answer."""
        if len(parts) == 1:
            single = await calls.compute(self._call, self._ask(parts[0].source, self._language))
            return [], await _whole(calls, single, preview)
        mapped = [await calls.compute(self._call, summarize(part.source, self._language)) for part in parts]
        answers = await calls.map(
            mapped, then=[self._reduction(len(parts))], on_text=lambda _number, text: is_stuck(text)
        )
        details = [(part.name, _prose(answer)) for part, answer in zip(parts, answers, strict=True)]
        reduction = await calls.compute(self._reduce, details)
        return details, await _whole(calls, reduction, preview)

    def _reduce(self, details: Sequence[tuple[str, str]]) -> ModelCall:
        return self._call(combine(self._listed(details), self._language))

    def _call(self, ask: Ask) -> ModelCall:
        prompt = self.prompter.prompt(ask)
        call = call_for(prompt, self.prompter.context_tokens, EXPECTED_TOKENS, self._most) if prompt else None
        if call is None:
            raise CannotDoError("This is too long for the model.")
        return call

    def _reduction(self, parts: int) -> CallEstimate:
        return CallEstimate(min(parts * (EXPECTED_TOKENS + 8), _PIECE_TOKENS), 2 * EXPECTED_TOKENS)

    def _listed(self, details: Sequence[tuple[str, str]]) -> str:
        """The summaries of the parts, shortened until they fit into one call."""
        length = 400
        while True:
            listed = "\n".join(f"{name}: {text[:length]}" if name else text[:length] for name, text in details)
            if self.fits(listed) or length < 20:
                return listed
            length //= 2


def _parts_of(outline: Outline, symbol: Symbol, digest: _Digest) -> list[_Part]:
    """The symbol as one part, or one part per member, or in pieces."""
    source = without_doc(outline, symbol)
    if digest.fits(source):
        return [_Part(symbol.name, source)]
    members = [each for each in symbol.children if each.kind is not SymbolKind.CONTAINER]
    parts = [part for member in members for part in _parts_of(outline, member, digest)]
    return (parts or _pieces(symbol.name, source, digest))[:MOST_PARTS]


def _parts_between(outline: Outline, start: int, end: int, digest: _Digest) -> list[_Part]:
    symbols = outline.within(start, end)
    source = outline.text[start:end].replace("\r\n", "\n").strip("\n")
    if len(symbols) < 2 and digest.fits(source):
        return [_Part("", source)]
    parts = [part for symbol in symbols for part in _parts_of(outline, symbol, digest)]
    return (parts or _pieces("", source, digest))[:MOST_PARTS]


def _pieces(name: str, source: str, digest: _Digest) -> list[_Part]:
    """``source`` split at line ends into parts that fit into a call."""
    lines = source.split("\n")
    if digest.fits(source) or len(lines) == 1:
        return [_Part(name, source if digest.fits(source) else source[:_PIECE_TOKENS])]
    middle = len(lines) // 2
    return [*_pieces(name, "\n".join(lines[:middle]), digest), *_pieces(name, "\n".join(lines[middle:]), digest)]


async def _whole(calls: Calls, call: ModelCall, preview: Callable[[str], None]) -> Answer:
    """The answer; if it repeats itself or is too long, and there is time, that of a second call."""

    def on_text(text: str) -> bool:
        preview(prose_of(text))
        return is_stuck(text)

    first = await calls.call(call, on_text=on_text)
    again = replace(call, temperature=SECOND_TRY)
    if first.complete or not calls.has_time_for(again.estimate):
        return first
    second = await calls.call(again, on_text=on_text)
    return second if second.complete else first


def _prose(answer: Answer) -> str:
    """The sentences of the answer, without an incomplete last one if there are others."""
    text = without_repetition(prose_of(answer.text))
    if not answer.complete:
        end = max(text.rfind(". "), text.rfind(".\n"), len(text) - 1 if text.endswith(".") else -1)
        text = text[: end + 1] if end > 0 else text
    return text.strip()
