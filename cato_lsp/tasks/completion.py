"""Inline completion: from a cursor to a prompt, and from the model's answer to the text that is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from cato_lsp.tasks.context import FileContext
from cato_lsp.tasks.cursor import Cursor, Mode
from cato_lsp.tasks.fim import NO_CONTEXT, FimPromptBuilder
from cato_lsp.tasks.fim_family import FimFamily
from cato_lsp.tasks.healing import CutWord
from cato_lsp.tasks.indentation import leading_blanks
from cato_lsp.tasks.postprocess import ShapingContext, shape
from cato_lsp.tasks.postprocess.closers import closers_to_replace
from cato_lsp.tasks.prompts import language_name
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.stop import StopReason, StopRules
from cato_lsp.tasks.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class SelectedCompletion:
    """The item selected in the editor's completion menu: its text stands for ``[start, end)``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What an editor asks: a completion at a cursor.

    Offsets count code points of ``snapshot.text``; those out of range are moved to the nearest end.
    """

    snapshot: Snapshot
    offset: int
    invoked: bool = False
    """A person asked for it, as opposed to the editor while typing."""
    selected: SelectedCompletion | None = None

    def composed(self) -> tuple[Snapshot, int]:
        """The document with the selected menu item in place, and the offset where an answer is inserted."""
        target = _Target.of(self)
        return replace(self.snapshot, text=target.text), target.offset


@dataclass(frozen=True, slots=True)
class Completion:
    """Text that takes the place of ``[start, end)``, a range of code points on one line.

    The range begins with the word before the cursor (or is the range of the selected menu item), and the text
    with what stands there, so that an editor can go on showing the item while a person types along.
    """

    start: int
    end: int
    text: str

    @classmethod
    def of(cls, request: CompletionRequest, insertion: str) -> Completion:
        """The completion of a request that inserts ``insertion`` at the cursor."""
        return _Target.of(request).completion(insertion, 0)

    def follow_up(self, request: CompletionRequest) -> CompletionRequest:
        """The request that is likely once it is accepted: right behind it or, where it ends its line, on the next one,
        indented as editors do it.
        """
        snapshot, offset = request.snapshot, self.start + len(self.text)
        text = self.apply(snapshot.text)
        cursor = Cursor.at(text, offset, snapshot.language)
        if cursor.mode is Mode.LINE and not cursor.rest.strip() and not cursor.on_blank_line:
            added = snapshot.newline + leading_blanks(cursor.line)
            text, offset = text[:offset] + added + text[offset:], offset + len(added)
        return CompletionRequest(replace(snapshot, text=text), offset)

    def inserted(self, request: CompletionRequest) -> str | None:
        """What the completion of a request inserts at the cursor; ``None`` if it replaces text behind it."""
        target = _Target.of(request)
        return self.text[len(target.typed) :] if self.end == target.end else None

    def apply(self, text: str) -> str:
        """The document after the completion is accepted."""
        return text[: self.start] + self.text + text[self.end :]


@dataclass(frozen=True, slots=True)
class CompletionLimits:
    """How long prompts and answers may be."""

    prompt_tokens: int = 1536
    context_tokens: int | None = None
    """Most tokens of other files in a prompt; ``None``: as the model has learned it."""
    line_tokens: int = 48
    """Most tokens of an answer that fills a line."""
    block_tokens: int = 160
    """Most tokens of an answer of several lines."""
    max_lines: int = 12
    in_comments: bool = True
    """Whether something is offered in comments and docstrings while typing."""


class CompletionPrompter:
    """Plans completions for one model.

    :param tokenizer: the model's tokenizer.
    :param family: its FIM format; with :data:`cato_lsp.tasks.families.PLAIN`, what follows the cursor is
        unknown to the model, and only shaping heeds it.
    :param limits: token budgets; prompt and answer together must fit the model's context.
    :raises ValueError: if the vocabulary lacks a token of the family.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        family: FimFamily,
        limits: CompletionLimits | None = None,
        *,
        eos_token_ids: tuple[int, ...] = (),
    ) -> None:
        self.family = family
        self.limits = limits or CompletionLimits()
        self._builder = FimPromptBuilder(tokenizer, family, self.limits.prompt_tokens, self.limits.context_tokens)
        known = (tokenizer.token_id(token) for token in family.control)
        stop = {number for number in known if number is not None}
        self._stop_token_ids = sorted(stop | set(eos_token_ids))

    @property
    def reads_other_files(self) -> bool:
        """Whether prompts have room for other files' code."""
        return self._builder.reads_other_files

    def plan(self, request: CompletionRequest, context: FileContext = NO_CONTEXT) -> CompletionPlan | None:
        """How to ask the model, or ``None`` where nothing sensible can be offered.

        :param context: what it is told of other files; what is excluded has been left out.
        """
        target = _Target.of(request)
        if not request.invoked and _is_hopeless(target):
            return None
        language = request.snapshot.language
        cursor = Cursor.at(target.text, target.offset, language)
        if not (self.limits.in_comments or request.invoked) and cursor.in_comment:
            return None
        path = _path(request.snapshot.uri)
        prompt = self._builder.build(
            target.text, target.offset, path=path, language=language_name(language), context=context
        )
        tokens = self.limits.line_tokens if cursor.mode is Mode.LINE else self.limits.block_tokens
        return CompletionPlan(
            prompt_ids=prompt.ids,
            cut=prompt.cut,
            max_tokens=tokens,
            stop_token_ids=self._stop_token_ids,
            target=target,
            cursor=cursor,
            newline=request.snapshot.newline,
            max_lines=self.limits.max_lines,
            markers=self.family.markers,
        )


@dataclass(frozen=True, slots=True)
class CompletionPlan:
    """One call to the model and the way to read its answer."""

    prompt_ids: list[int]
    cut: CutWord | None
    """What the answer has to begin with. Its ``text`` is no part of what a stream is fed."""
    max_tokens: int
    stop_token_ids: list[int]
    target: _Target
    cursor: Cursor
    newline: str
    max_lines: int
    markers: tuple[str, ...]

    def stream(self) -> CompletionStream:
        """A fresh reader of one answer to this plan."""
        return CompletionStream(self)


class CompletionStream:
    """Reads one answer as it arrives. It can be asked for a result at any time."""

    def __init__(self, plan: CompletionPlan) -> None:
        self._plan = plan
        self._rules = StopRules(plan.cursor, max_lines=plan.max_lines, markers=plan.markers)

    @property
    def reason(self) -> StopReason | None:
        """Why the answer is complete; ``None`` while it is not."""
        return self._rules.reason

    @property
    def text(self) -> str:
        """The raw answer so far, as far as it is to be kept."""
        return self._rules.text

    def feed(self, delta: str) -> bool:
        """Take more of the answer; true when it is complete and the call can be aborted."""
        return self._rules.feed(delta) is not None

    def result(self, *, cut: bool = False) -> Completion | None:
        """The completion to show, ``None`` for nothing.

        :param cut: the answer was ended by its deadline or its longest length, not by the model: only what
            is sound of it is given. Without meaning for an answer that the stop rules called complete.
        """
        plan, rules = self._plan, self._rules
        raw = f"{rules.text}\n" if rules.broken_off else rules.text
        unfinished = rules.broken_off or (cut and rules.reason is None)
        text = shape(raw, ShapingContext(plan.cursor, plan.max_lines, unfinished, plan.markers))
        if not text:
            return None
        replaced = closers_to_replace(text, plan.cursor)
        return plan.target.completion(text.replace("\n", plan.newline), replaced)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where an answer goes: the text as the model sees it, and the range of the document it stands for."""

    text: str
    """The document, with the selected menu item in place."""
    offset: int
    start: int
    """Where in the document the replaced range begins."""
    end: int
    """Where it ends, what shaping adds left out."""
    typed: str
    """Text between ``start`` and the gap; the completion repeats it."""

    @classmethod
    def of(cls, request: CompletionRequest) -> _Target:
        text, selected = request.snapshot.text, request.selected
        offset = _within(text, request.offset)
        if selected is not None and _is_usable(selected, text):
            composed = text[: selected.start] + selected.text + text[selected.end :]
            gap = selected.start + len(selected.text)
            return cls(composed, gap, selected.start, selected.end, selected.text)
        start = offset
        while start > 0 and _is_word(text[start - 1]) and offset - start < 200:
            start -= 1
        return cls(text, offset, start, offset, text[start:offset])

    def completion(self, text: str, replaced: int) -> Completion:
        """The completion that puts ``text`` into the gap and takes away ``replaced`` characters after it."""
        return Completion(self.start, self.end + replaced, self.typed + text)


def _is_usable(selected: SelectedCompletion, text: str) -> bool:
    """The range lies within one line of the document; an editor that breaks at a lone carriage return too agrees."""
    start, end = selected.start, selected.end
    if not 0 <= start <= end <= len(text) or (end and text[end - 1 : end + 1] == "\r\n"):
        return False
    return "\n" not in text[start:end] and "\r" not in text[start:end]


def _is_hopeless(target: _Target) -> bool:
    """A cursor inside of a word, or an empty document: nobody waits for a suggestion there."""
    text, offset = target.text, target.offset
    before, after = text[max(0, offset - 1) : offset], text[offset : offset + 1]
    return (_is_word(before) and _is_word(after)) or not text.strip()


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _within(text: str, offset: int) -> int:
    """The nearest offset that lies in the text and not between the two characters of a line ending."""
    offset = max(0, min(offset, len(text)))
    return offset - 1 if text[offset - 1 : offset + 1] == "\r\n" and offset > 0 else offset


def _path(uri: str) -> str:
    """The last part of a document's path."""
    return PurePosixPath(unquote(urlsplit(uri).path)).name
