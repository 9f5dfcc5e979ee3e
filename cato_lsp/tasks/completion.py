"""Inline completion: from the cursor to a prompt, and from the model's answer to the completion."""

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
from cato_lsp.tasks.languages import language_of
from cato_lsp.tasks.postprocess import ShapingContext, shape
from cato_lsp.tasks.postprocess.closers import closers_to_replace
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.stop import StopReason, StopRules
from cato_lsp.tasks.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class SelectedCompletion:
    """The item selected in the editor's completion menu; it would replace ``[start, end)``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A request for a completion at a cursor.

    Offsets count code points of ``snapshot.text``; those out of range are moved to the nearest end.
    """

    snapshot: Snapshot
    offset: int
    invoked: bool = False
    """The user invoked it, as opposed to the editor while typing."""
    selected: SelectedCompletion | None = None

    def composed(self) -> tuple[Snapshot, int]:
        """The document with the selected menu item in place, and the offset where an answer is inserted."""
        target = _Target.of(self)
        return replace(self.snapshot, text=target.text), target.offset


@dataclass(frozen=True, slots=True)
class Completion:
    """Text that replaces ``[start, end)``, a range of code points on one line.

    The range begins with the word before the cursor (or is the range of the selected menu item), and the text repeats
    that word. So the editor can keep showing the completion while the user types along.
    """

    start: int
    end: int
    text: str

    @classmethod
    def of(cls, request: CompletionRequest, insertion: str) -> Completion:
        """The completion of a request that inserts ``insertion`` at the cursor."""
        return _Target.of(request).completion(insertion, 0)

    def follow_up(self, request: CompletionRequest) -> CompletionRequest:
        """The likely next request after it is accepted: right after it or, if it ends its line, on the next line with
        the editor's indentation.
        """
        snapshot, offset = request.snapshot, self.start + len(self.text)
        text = self.apply(snapshot.text)
        cursor = Cursor.at(text, offset, snapshot.language)
        if cursor.mode is Mode.LINE and not cursor.rest.strip() and not cursor.on_blank_line:
            added = snapshot.newline + leading_blanks(cursor.line)
            text, offset = text[:offset] + added + text[offset:], offset + len(added)
        return CompletionRequest(replace(snapshot, text=text), offset)

    def inserted(self, request: CompletionRequest) -> str | None:
        """The text that is inserted at the cursor; ``None`` if text after the cursor is replaced."""
        target = _Target.of(request)
        return self.text[len(target.typed) :] if self.end == target.end else None

    def apply(self, text: str) -> str:
        """The document after the completion is accepted."""
        return text[: self.start] + self.text + text[self.end :]


@dataclass(frozen=True, slots=True)
class CompletionLimits:
    """Limits of prompts and answers."""

    prompt_tokens: int = 1536
    context_tokens: int | None = None
    """Most tokens of other files in a prompt; ``None``: depends on the model."""
    line_tokens: int = 48
    """Most tokens of an answer that fills a line."""
    block_tokens: int = 160
    """Most tokens of an answer of several lines."""
    max_lines: int = 12
    in_comments: bool = True
    """Whether completions are offered in comments and docstrings while typing."""


class CompletionPrompter:
    """Plans completions for one model.

    :param tokenizer: the model's tokenizer.
    :param family: its FIM format; with :data:`cato_lsp.tasks.families.PLAIN`, the model does not see the text
        after the cursor; only postprocessing uses it.
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
        """Whether prompts contain code of other files."""
        return self._builder.reads_other_files

    def plan(self, request: CompletionRequest, context: FileContext = NO_CONTEXT) -> CompletionPlan | None:
        """The call for a request, or ``None`` where no sensible completion is possible.

        :param context: code of other files, without excluded files.
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
            target.text, target.offset, path=path, language=language_of(language).name, context=context
        )
        tokens = self.limits.line_tokens if cursor.mode is Mode.LINE else self.limits.block_tokens
        return CompletionPlan(
            prompt_ids=prompt.ids,
            cut=prompt.cut,
            tail=prompt.tail,
            document=prompt.document,
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
    """One call to the model, and how to read its answer."""

    prompt_ids: list[int]
    cut: CutWord | None
    """The cut word that the answer must begin with. The text fed to a stream does not contain it."""
    tail: list[int]
    """The tokens before the answer, and"""
    document: list[int]
    """those of the document in the prompt, as :class:`cato_lsp.tasks.fim.FimPrompt` has them."""
    max_tokens: int
    stop_token_ids: list[int]
    target: _Target
    cursor: Cursor
    newline: str
    max_lines: int
    markers: tuple[str, ...]

    def stream(self) -> CompletionStream:
        """A new reader of one answer to this plan."""
        return CompletionStream(self)


class CompletionStream:
    """Reads one answer as it arrives. A result is available at any time."""

    def __init__(self, plan: CompletionPlan) -> None:
        self._plan = plan
        self._rules = StopRules(plan.cursor, max_lines=plan.max_lines, markers=plan.markers)
        self._ends_word = False
        self._cut = False

    @property
    def reason(self) -> StopReason | None:
        """Why the answer is complete; ``None`` while it is not."""
        return self._rules.reason

    @property
    def text(self) -> str:
        """The raw answer so far, without text after its end."""
        return self._rules.text

    def feed(self, delta: str) -> bool:
        """Add the next part of the answer. Returns true when it is complete and the call can be aborted."""
        return self._rules.feed(delta) is not None

    def end_before(self, text: str) -> None:
        """End the answer here, because the model is too unsure of what it would go on with.

        :param text: that is; it tells whether the last word and the last line are whole.
        """
        self._cut = True
        if not text.strip(" \t") or text.lstrip(" \t").startswith("\n"):
            self._rules.feed("\n")
        self._ends_word = not (text[:1].isalnum() or text[:1] == "_")

    def result(self, *, cut: bool = False) -> Completion | None:
        """The completion to show, ``None`` for nothing.

        :param cut: the answer was ended by the time limit or its length limit, not by the model: its usable part is
            returned. Has no effect on an answer that the stop rules ended.
        """
        plan, rules = self._plan, self._rules
        raw = f"{rules.text}\n" if rules.broken_off else rules.text
        if self._ends_word:
            raw += " "
        unfinished = rules.broken_off or ((cut or self._cut) and rules.reason is None)
        text = shape(raw, ShapingContext(plan.cursor, plan.max_lines, unfinished, plan.markers))
        if not text:
            return None
        replaced = closers_to_replace(text, plan.cursor)
        return plan.target.completion(text.replace("\n", plan.newline), replaced)


@dataclass(frozen=True, slots=True)
class _Target:
    """The place of an answer: the text as the model sees it, and the range of the document that is replaced."""

    text: str
    """The document, with the selected menu item in place."""
    offset: int
    start: int
    """Where in the document the replaced range begins."""
    end: int
    """Where it ends, without what postprocessing adds."""
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
        """The completion that inserts ``text`` and removes ``replaced`` characters after the cursor."""
        return Completion(self.start, self.end + replaced, self.typed + text)


def _is_usable(selected: SelectedCompletion, text: str) -> bool:
    """Whether the range is within one line, also for editors that break lines at a lone carriage return."""
    start, end = selected.start, selected.end
    if not 0 <= start <= end <= len(text) or (end and text[end - 1 : end + 1] == "\r\n"):
        return False
    return "\n" not in text[start:end] and "\r" not in text[start:end]


def _is_hopeless(target: _Target) -> bool:
    """Whether the cursor is inside a word or the document is empty: completions are not useful there."""
    text, offset = target.text, target.offset
    before, after = text[max(0, offset - 1) : offset], text[offset : offset + 1]
    return (_is_word(before) and _is_word(after)) or not text.strip()


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _within(text: str, offset: int) -> int:
    """The nearest offset that is in the text and not inside a line ending."""
    offset = max(0, min(offset, len(text)))
    return offset - 1 if text[offset - 1 : offset + 1] == "\r\n" and offset > 0 else offset


def _path(uri: str) -> str:
    """The last part of a document's path."""
    return PurePosixPath(unquote(urlsplit(uri).path)).name
