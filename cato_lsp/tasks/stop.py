"""Rules that end an answer when it is complete, while the model is still generating."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from cato_lsp.tasks.brackets import CLOSERS, BracketScan, scan
from cato_lsp.tasks.cursor import Cursor, Mode

_LOOP_LENGTH, _LOOP_LENGTH_OF_WORDS = 48, 24
"""Repeated characters within one line that count as a loop. For a piece with letters, fewer are enough."""
_LOOP = re.compile(r"(.{1,40}?)\1{2,}")
_LOOP_REACH = 3 * 40
_LOOP_LINES = 3
"""The same line this many times in a row is a loop. A group of lines is a loop when it occurs twice."""
_LOOP_GROUP = 4
_TELLING = 4
"""Only a line with at least this many letters and digits shows, by repeating a line below, that the gap is filled."""

_FIRST_WORD = re.compile(r"\w+\b(?=\W)")


class StopReason(StrEnum):
    """The reason why an answer is complete."""

    LINE_END = "line end"
    BLOCK_END = "block end"
    """The block was closed, or a line has less indentation than the block."""
    NEXT_BLOCK = "next block"
    """A blank line ended the paragraph, and other code began."""
    SUFFIX_REACHED = "suffix reached"
    BRACKET_CLOSED = "bracket closed"
    """The answer closed the bracket that follows the cursor."""
    MAX_LINES = "max lines"
    LOOP = "loop"
    CONTROL_TOKEN = "control token"


class StopRules:
    """Watches one answer as it arrives.

    :param cursor: where the answer belongs. The answer is taken to continue ``cursor.line`` without its
        trailing blanks, as :mod:`cato_lsp.tasks.fim` asks for it.
    :param max_lines: most lines a block may have.
    :param markers: control tokens as text, for engines that do not keep them from the text.

    Each character is read once and each finished line once more, so the cost of a token does not grow with the length
    of the answer.
    """

    def __init__(self, cursor: Cursor, *, max_lines: int, markers: Sequence[str] = ()) -> None:
        self._cursor = cursor
        self._style = cursor.indentation
        self._max_lines = max_lines
        self._markers = tuple(marker for marker in markers if marker)
        self._lines: list[str] = []
        self._current = ""
        self._line_count = 0
        self._reason: StopReason | None = None
        self._scope = _scope_of(cursor)
        self._body: int | None = None
        """Columns of the first line of the answer, once it is known."""
        self._below = next(iter(cursor.lines_below()), "")
        self._one_line = cursor.mode is Mode.LINE
        self._watches_rest = cursor.mode is Mode.BLOCK and bool(cursor.rest.strip())
        self._brackets = BracketScan(cursor.language.quotes, cursor.quote)

    @property
    def text(self) -> str:
        """The answer so far; once it is complete, the part to keep."""
        return "\n".join([*self._lines, self._current])

    @property
    def reason(self) -> StopReason | None:
        """Why the answer is complete, ``None`` while it is not."""
        return self._reason

    @property
    def broken_off(self) -> bool:
        """Whether the answer was ended although its code would have continued."""
        return self._reason in (StopReason.MAX_LINES, StopReason.LOOP)

    def feed(self, delta: str) -> StopReason | None:
        """Add the next part of the answer. Returns the reason to stop if it is complete; later text is ignored."""
        for piece in delta.replace("\r", "").splitlines(keepends=True):
            if self._reason is not None:
                break
            self._reason = self._take(piece)
        return self._reason

    def _take(self, piece: str) -> StopReason | None:
        content = piece.removesuffix("\n")
        start = len(self._current)
        begun = bool(self._current.strip())
        self._current += content
        if self._markers and self._cut_marker(start):
            return StopReason.CONTROL_TOKEN
        if not begun and self._current.strip() and (reason := self._judge_indentation(whole=False)):
            self._drop_current()
            return reason
        if self._watches_rest and self._closes_rest(piece, start):
            return StopReason.BRACKET_CLOSED
        if _holds_loop(self._current[max(0, start - _LOOP_REACH) :]):
            self._drop_current()
            return StopReason.LOOP
        return self._end_line() if content != piece else None

    def _end_line(self) -> StopReason | None:
        line, cursor = self._current, self._cursor
        begun = line.strip() or self._lines or not cursor.on_blank_line
        if self._one_line and begun:
            return StopReason.LINE_END
        if line.strip():
            reason = StopReason.SUFFIX_REACHED if self._is_below(line) else self._judge_indentation(whole=True)
            if reason:
                self._drop_current()
                return reason
            if self._closes_block_for_good(line):
                return StopReason.BLOCK_END
            if again := _lines_again([*self._lines, line]):
                del self._lines[len(self._lines) + 1 - again :]
                self._current = self._lines.pop()
                return StopReason.LOOP
            self._line_count += 1
            if self._line_count >= self._max_lines:
                return StopReason.MAX_LINES
        self._lines.append(line)
        self._current = ""
        return None

    def _judge_indentation(self, *, whole: bool) -> StopReason | None:
        """Whether the current line is not part of the answer, by its indentation."""
        if not self._lines and not self._cursor.on_blank_line:
            return None
        indent = self._style.of(self._current)
        last = next((line for line in reversed(self._lines) if line.strip()), "")
        if not last and self._cursor.on_blank_line:
            self._body = indent if self._scope is None else self._scope
            self._scope = self._body
            return None
        if self._scope is not None and indent < self._scope:
            return None if self._goes_on(indent, whole) else StopReason.BLOCK_END
        if self._body is None:
            self._body = indent
        after_blank_line = not self._lines[-1].strip()
        opened = self._cursor.on_blank_line or self._style.of(last) > self._body
        if indent == self._body and after_blank_line and last and opened:
            return StopReason.NEXT_BLOCK
        return None

    def _goes_on(self, indent: int, whole: bool) -> bool:
        """A line like ``}`` or ``else:`` at the indentation of the head of the block the answer is in."""
        if self._cursor.on_blank_line or indent != self._cursor.indent:
            return False
        text = self._current.strip()
        if text[0] in CLOSERS:
            return True
        words = self._cursor.language.continuations
        first = _FIRST_WORD.match(text)
        word = first.group() if first else text
        return word in words or (not whole and any(known.startswith(text) for known in words))

    def _closes_block_for_good(self, line: str) -> bool:
        """The line closes the block and opens no other, as ``} else {`` does."""
        if not self._lines or self._cursor.on_blank_line or line.strip()[0] not in CLOSERS:
            return False
        return self._style.of(line) <= self._cursor.indent and not self._cursor.language.opens_block(line)

    def _is_below(self, line: str) -> bool:
        """The line repeats the text after the cursor: the gap is filled."""
        if not self._below or (not self._lines and not self._cursor.on_blank_line):
            return False
        if line.rstrip() != self._below.rstrip():
            return False
        telling = sum(character.isalnum() for character in line) >= _TELLING or line.strip()[0] in CLOSERS
        return telling and not scan("\n".join(self._lines), quotes=self._cursor.language.quotes).open

    def _closes_rest(self, piece: str, start: int) -> bool:
        """Whether the answer closes the bracket that follows the cursor. It ends before that bracket.

        On its first line it may go on behind the bracket, to the end of the line.
        """
        known, base = len(self._brackets.unmatched), self._brackets.offset
        self._brackets.feed(piece)
        for offset, character in self._brackets.unmatched[known:]:
            if character != self._cursor.rest.strip()[0]:
                continue
            if not self._lines:
                self._one_line = True
                return False
            self._current = self._current[: start + offset - base]
            return True
        return False

    def _cut_marker(self, start: int) -> bool:
        longest = max(map(len, self._markers))
        found = [self._current.find(marker, max(0, start - longest)) for marker in self._markers]
        cuts = [position for position in found if position >= 0]
        if cuts:
            self._current = self._current[: min(cuts)]
        return bool(cuts)

    def _drop_current(self) -> None:
        """Drop the unfinished line and the blank lines before it."""
        self._current = ""
        while self._lines and not self._lines[-1].strip():
            self._lines.pop()
        if self._lines:
            self._current = self._lines.pop()


def _scope_of(cursor: Cursor) -> int | None:
    """Least indentation of the answer's lines; ``None``: that of its first line."""
    if cursor.on_blank_line:
        return cursor.indent if cursor.line else None
    return cursor.indent + 1


def _holds_loop(text: str) -> bool:
    """Whether a piece repeats itself within a line. Rulers and runs of blanks do not count."""
    for loop in _LOOP.finditer(text):
        least = _LOOP_LENGTH_OF_WORDS if any(map(str.isalpha, loop[1])) else _LOOP_LENGTH
        if len(loop[0]) >= least and any(map(str.isalnum, loop[1])):
            return True
    return False


def _lines_again(lines: list[str]) -> int:
    """Number of lines at the end that repeat the lines before them."""
    if len(lines) >= _LOOP_LINES and len(set(lines[-_LOOP_LINES:])) == 1:
        return _LOOP_LINES - 1
    for size in range(2, min(_LOOP_GROUP, len(lines) // 2) + 1):
        group = lines[-size:]
        if group == lines[-2 * size : -size] and sum(bool(line.strip()) for line in group) > 1:
            return size
    return 0
