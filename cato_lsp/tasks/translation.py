"""Translate: code to another language, symbol by symbol. A grammar checks every piece."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from cato_lsp.scheduling.slo import TaskKind
from cato_lsp.tasks.calls import Answer, CallEstimate, Calls, CannotDoError, ModelCall, alternatives, call_for
from cato_lsp.tasks.languages import LANGUAGES, language_of, parser_of
from cato_lsp.tasks.prompts import Prompter, code_of, repair, translate
from cato_lsp.tasks.redeclaration import without_redeclaration
from cato_lsp.tasks.repetition import is_stuck, without_repetition
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.symbols import Outline, SymbolKind, outline_of, syntax_errors
from cato_lsp.tasks.task import TaskRequest, TaskResult

TARGETS = tuple(language.id for language in LANGUAGES.values() if language.translation_target)
"""Target languages that are offered. Any other can be asked for by command."""
PIECE_TOKENS = 800
"""Small adjacent symbols are translated together, up to this many tokens."""
GROWTH = 1.3
"""Tokens of a translation per token of the source, as a first guess."""
MOST_PIECES = 200


@dataclass(slots=True)
class _Piece:
    source: str
    call: ModelCall | None
    """``None``: the model cannot translate it, and it becomes a comment."""
    text: str = ""
    remark: str = ""
    """A remark for the user, written above it."""


class Translation:
    """Translates a selection or a whole file. The result is the text of a new file.

    :param target: an LSP language id.
    :raises CannotDoError: if the model does not know these languages, or the input is too long.
    """

    def __init__(self, snapshot: Snapshot, start: int, end: int, target: str, prompter: Prompter) -> None:
        self._language = snapshot.language
        self._target = target
        self._prompter = prompter
        if prompter.prompt(translate("", snapshot.language, target)) is None:
            raise CannotDoError(
                f"The model cannot translate {language_of(snapshot.language).name} to {language_of(target).name}; "
                "the bundled one knows Python to JavaScript, one function at a time. Choose another in the settings."
            )
        self._pieces = self._cut(snapshot, start, end)
        if self._pieces and all(piece.call is None for piece in self._pieces):
            raise CannotDoError(
                "The model can translate nothing of this: the bundled one knows single functions only. Select one, "
                "or choose another model in the settings."
            )
        if len(self._pieces) > MOST_PIECES:
            raise CannotDoError("This is too long to be translated at once; select a part of it.")

    @classmethod
    def request(cls, snapshot: Snapshot, start: int, end: int, target: str) -> TaskRequest:
        """The request for this task."""
        return TaskRequest(TaskKind.TRANSLATION, snapshot.uri, start, partial(cls, snapshot, start, end, target))

    @property
    def note(self) -> str:
        """See `Task.note`."""
        known = sum(piece.call is not None for piece in self._pieces)
        if known == len(self._pieces):
            return ""
        return f"The model can translate {known} of {len(self._pieces)} parts; the others become comments."

    def estimate(self) -> list[CallEstimate]:
        """See `Task.estimate`."""
        return [piece.call.estimate for piece in self._pieces if piece.call is not None]

    async def run(self, calls: Calls) -> TaskResult:
        """See `Task.run`."""
        asked = [piece for piece in self._pieces if piece.call is not None]

        def on_text(number: int, text: str) -> bool:
            asked[number].text = code_of(text)
            calls.show(self._joined())
            return is_stuck(text)

        answers = await calls.map([piece.call for piece in asked if piece.call is not None], on_text=on_text)
        for piece, answer in zip(asked, answers, strict=True):
            await self._settle(piece, answer, calls)
            calls.show(self._joined())
        text = self._joined()
        errors = await calls.compute(syntax_errors, text, self._target)
        broken = any(piece.remark for piece in self._pieces) or parser_of(self._target) is None
        return TaskResult(text, broken or bool(errors))

    async def _settle(self, piece: _Piece, answer: Answer, calls: Calls) -> None:
        """Use the answer; if it does not parse and there is time, that of a second try."""
        piece.text, errors = await calls.compute(self._read, answer)
        if not errors:
            return
        again = await calls.compute(self._again, piece, errors)
        if again and calls.has_time_for(again[0].estimate):
            for other in await calls.map(again, on_text=lambda _number, text: is_stuck(text)):
                text, wrong = await calls.compute(self._read, other)
                if not wrong:
                    piece.text = text
                    return
        piece.remark = f"cato: not verified, please check: {errors[0]}"

    def _read(self, answer: Answer) -> tuple[str, list[str]]:
        """The code of an answer, and what is wrong with it."""
        text = without_redeclaration(without_repetition(code_of(answer.text)), self._target)
        if not text:
            return text, ["the model gave no translation"]
        return text, syntax_errors(text, self._target) or ([] if answer.complete else ["it may not be whole"])

    def _again(self, piece: _Piece, errors: Sequence[str]) -> list[ModelCall]:
        """A repair of the piece, or other translations by a model that was not trained to repair."""
        prompt = self._prompter.prompt(repair(piece.text, self._target, "; ".join(errors)))
        if prompt is None:
            return [] if piece.call is None else alternatives(piece.call)
        expected = self._prompter.count(piece.text)
        call = call_for(prompt, self._prompter.context_tokens, expected, 2 * expected + 64)
        return [] if call is None else [call]

    def _cut(self, snapshot: Snapshot, start: int, end: int) -> list[_Piece]:
        outline = outline_of(snapshot.text, snapshot.language)
        start = snapshot.line_start(start)
        pieces: list[_Piece] = []
        gathered = ""
        for first, last in outline.pieces(start, end):
            source = outline.text[first:last].replace("\r\n", "\n")
            together = gathered + source
            if gathered and (self._prompter.one_function_only or self._prompter.count(together) > PIECE_TOKENS):
                pieces.append(self._piece(gathered))
                together = source
            gathered = together
        return [*pieces, *([self._piece(gathered)] if gathered.strip() else [])]

    def _piece(self, source: str) -> _Piece:
        source = textwrap.dedent(source).strip("\n").rstrip()
        if self._prompter.one_function_only and not _is_function(source, self._language):
            return _Piece(source, None, self._commented(source), "cato: not translated")
        tokens = self._prompter.count(source)
        prompt = self._prompter.prompt(translate(source, self._language, self._target))
        expected = int(tokens * GROWTH) + 16
        call = call_for(prompt, self._prompter.context_tokens, expected, 2 * expected + 64) if prompt else None
        if call is None:
            return _Piece(source, None, self._commented(source), "cato: too long for the model, not translated")
        return _Piece(source, call)

    def _joined(self) -> str:
        shown: list[str] = []
        for piece in self._pieces:
            if piece.remark:
                shown.append(f"{self._commented(piece.remark)}\n{piece.text}")
            elif piece.text:
                shown.append(piece.text)
        return "\n\n".join(shown) + "\n"

    def _commented(self, text: str) -> str:
        known = language_of(self._target)
        if known.line_comments:
            return "\n".join(f"{known.line_comments[0]} {line}".rstrip() for line in text.split("\n"))
        begin, end = known.block_comments[0] if known.block_comments else ("/*", "*/")
        return f"{begin} {text} {end}"


def _is_function(source: str, language: str) -> bool:
    outline = Outline(source, language)
    return len(outline.top) == 1 and outline.top[0].kind is SymbolKind.FUNCTION


def translations(prompter: Prompter, language: str) -> list[str]:
    """The languages of `TARGETS` that the model can translate ``language`` to."""
    if parser_of(language) is None:
        return []
    others = [each for each in TARGETS if each != language]
    return [each for each in others if prompter.prompt(translate("", language, each)) is not None]
