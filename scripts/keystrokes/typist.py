"""A model of a person who types a given file: bursts, pauses, corrections, jumps, accepted suggestions.

Published figures: gaps between keys have mean 239 ms and standard deviation 112 ms, and 6.3 % of keys delete (Dhakal,
Feit, Kristensson, Oulasvirta: Observations on Typing from 136 Million Keystrokes, CHI 2018); 27 % of suggestions are
accepted (Ziegler et al.: Productivity Assessment of Neural Code Completion, MAPS 2022), which here means that 27 % of
the lines have an accepted suggestion. Our own choice, without published figures: the pauses, the order in which the
parts of a file are written, and how soon a typing error is noticed.

The editor does what editors do: it indents after Enter, and closes brackets and quotes that are closed on the same
line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from keystrokes.recording import Key, Kind, Recording

KEY_GAP_MEAN, KEY_GAP_DEVIATION = 239.0, 112.0
SLIP = 0.06
"""Letters that are mistyped; with what is typed until it is noticed, 6.3 % of keys delete."""
NOTICED_AFTER = 0.6
"""Right letters typed, in the mean, before a slip is noticed."""
LINES_WITH_ACCEPT = 0.27
WHOLE_LINE_ACCEPT = 0.6
"""Accepted suggestions that reach to the end of the line; the others end with a word."""
DOCUMENTED_LATER = 0.5
"""Docstrings and doc comments that are written after their code."""
THINKING = {"line": 1_200.0, "block": 5_000.0, "jump": 2_500.0, "slip": 400.0, "suggestion": 600.0}
"""Median pauses before what they are named after, in ms."""
NEIGHBOURS = dict(zip("abcdefghijklmnopqrstuvwxyz", "svxsrdfguhjknbpowearycqztx", strict=True))
_PAIRS = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'", "`": "`"}
_SIGMA = math.sqrt(math.log(1 + (KEY_GAP_DEVIATION / KEY_GAP_MEAN) ** 2))
_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class _Piece:
    """Whole lines of the file that are written at one go."""

    start: int
    """Offset in the file."""
    text: str
    written: bool = False


def type_file(text: str, *, language: str, name: str, licence: str, seed: int) -> Recording:
    """A session at whose end the document is ``text``."""
    made = f"generated from the keystroke model of scripts/keystrokes/typist.py, seed {seed}; no person typed this"
    recording = Recording(language, name, licence, made)
    _Typist(text, recording, Random(seed)).run()
    assert recording.final == text
    return recording


class _Typist:
    def __init__(self, target: str, recording: Recording, rng: Random) -> None:
        self._target = target
        self._recording = recording
        self._rng = rng
        self._pieces = _pieces(target)
        self._text = ""
        self._cursor = 0
        self._time = 0.0
        opened = next((line for line in target.split("\n") if line[:1] in " \t" and line.strip()), "    x")
        self._level = opened[: len(opened) - len(opened.lstrip())]

    def run(self) -> None:
        """Write all pieces."""
        for piece in self._order():
            offset = sum(len(each.text) for each in self._pieces if each.written and each.start < piece.start)
            lines = piece.text.removesuffix("\n").split("\n")
            if offset < len(self._text):
                self._insert_lines(offset, lines)
            else:
                self._append_lines(lines)
            piece.written = True
            expected = "".join(each.text for each in self._pieces if each.written)
            assert self._text.removesuffix("\n") == expected.removesuffix("\n"), piece.text

    def _order(self) -> Iterator[_Piece]:
        """Code as it stands; an import once it is used; some documentation after its code."""
        imports = [piece for piece in self._pieces if _is_import(piece.text)]
        later: list[_Piece] = []
        for number, piece in enumerate(self._pieces):
            if piece in imports:
                continue
            if number and _is_documentation(piece.text) and self._rng.random() < DOCUMENTED_LATER:
                later.append(piece)
                continue
            yield piece
            if not piece.text.endswith("\n\n"):
                continue  # the block goes on
            yield from later
            later = []
            used = set(_WORD.findall(piece.text))
            needed = [each for each in imports if not used.isdisjoint(_imported(each.text))]
            imports = [each for each in imports if each not in needed]
            yield from needed
        yield from later
        yield from imports

    def _append_lines(self, lines: list[str]) -> None:
        if self._cursor != len(self._text):
            self._move(len(self._text))
        for number, line in enumerate(lines):
            if number or (self._text and not self._text.endswith("\n")):
                self._enter()
            self._write_line(line)
        self._enter()
        self._clear_indentation()

    def _insert_lines(self, offset: int, lines: list[str]) -> None:
        """Write lines before the line at ``offset``: at the end of the one above, or in front if there is none."""
        self._move(max(0, offset - 1))
        if not offset:
            self._enter()
            self._move(0)
        for number, line in enumerate(lines):
            if offset or number:
                self._enter()
            self._write_line(line)

    def _write_line(self, line: str) -> None:
        self._indent(line[: len(line) - len(line.lstrip())] if line.strip() else "")
        content = line.lstrip()
        if not content:
            return
        self._think("block" if content.startswith(("def ", "class ", "@", "function ", "export ")) else "line")
        accept_at = self._rng.randrange(2, len(content)) if len(content) > 6 else 0
        if self._rng.random() >= LINES_WITH_ACCEPT:
            accept_at = 0
        position = 0
        string = ""
        while position < len(content):
            if accept_at and position >= accept_at:
                accept_at = 0
                position += self._accept(content[position:])
                string = ""  # what is left is short; brackets in it are typed as they are
                continue
            string = self._type(content, position, string)
            position += 1

    def _type(self, content: str, position: int, string: str) -> str:
        """Type one character of a line; return the quote of the string that is open then."""
        character = content[position]
        following = self._text[self._cursor : self._cursor + 1]
        if character.isalpha() and self._rng.random() < SLIP:
            self._slip(content[position:])
        if string:
            if character == string and following == string:
                self._change(Kind.TYPE, self._cursor, 1, character, self._cursor + 1)
                return ""
            self._key(character)
            return "" if character == string else string
        if character in _PAIRS.values() and following == character:
            self._change(Kind.TYPE, self._cursor, 1, character, self._cursor + 1)
            return ""
        closer = _PAIRS.get(character, "")
        if closer and self._closes(content, position, closer) and not (following.isalnum() or following in _PAIRS):
            self._change(Kind.TYPE, self._cursor, 0, character + closer, self._cursor + 1)
        else:
            self._key(character)
        return character if closer == character and content[position : position + 3] != character * 3 else ""

    def _closes(self, content: str, position: int, closer: str) -> bool:
        """Whether the bracket or quote at ``position`` is closed on its line."""
        opener = content[position]
        if opener == closer:
            after_word = position > 0 and content[position - 1].isalnum() and content[position - 1] not in "rbf"
            is_long = content[position : position + 3] == opener * 3
            return closer in content[position + 1 :] and not is_long and not after_word
        depth = 0
        for character in content[position:]:
            depth += (character == opener) - (character == closer)
            if depth == 0:
                return True
        return False

    def _slip(self, content: str) -> None:
        """Mistype a letter, go on for a while, notice, and take it all back."""
        noticed = min(int(self._rng.expovariate(1 / NOTICED_AFTER)), 4)
        wrong = NEIGHBOURS.get(content[0].lower(), "x") + content[1 : 1 + noticed]
        wrong = wrong[: next((at for at, each in enumerate(wrong) if at and not each.isalnum()), len(wrong))]
        for character in wrong:
            self._key(character)
        self._think("slip")
        for _ in wrong:
            self._change(Kind.DELETE, self._cursor - 1, 1, "", self._cursor - 1)

    def _accept(self, rest: str) -> int:
        """Accept a suggestion of the rest of the line or of its next word; return how much of it."""
        word = re.match(r"\W*\w+", rest)
        text = rest if self._rng.random() < WHOLE_LINE_ACCEPT or word is None else word.group()
        self._think("suggestion")
        line_end = self._text.find("\n", self._cursor)
        closers = (line_end if line_end >= 0 else len(self._text)) - self._cursor
        if text == rest:
            self._change(Kind.ACCEPT, self._cursor, closers, text, self._cursor + len(text))
        elif set(text).isdisjoint("()[]{}\"'`"):
            self._change(Kind.ACCEPT, self._cursor, 0, text, self._cursor + len(text))
        else:
            return 0
        return len(text)

    def _enter(self) -> None:
        """Enter: the blanks of a blank line go, and the next is indented like this one or, after a head, deeper."""
        self._pause()
        start = self._text.rfind("\n", 0, self._cursor) + 1
        line = self._text[start : self._cursor]
        indent = line[: len(line) - len(line.lstrip())]
        blanks = len(line) if not line.strip() else 0
        if line.rstrip().endswith((":", "{", "(", "[")):
            indent += self._level
        offset = self._cursor - blanks
        self._change(Kind.TYPE, offset, blanks, "\n" + indent, offset + 1 + len(indent), pause=False)

    def _indent(self, wanted: str) -> None:
        """Bring the indentation of the current blank line to what is wanted."""
        start = self._text.rfind("\n", 0, self._cursor) + 1
        while len(self._text[start : self._cursor]) > len(wanted):
            size = min(len(self._level), self._cursor - start - len(wanted))
            self._change(Kind.DELETE, self._cursor - size, size, "", self._cursor - size)
        while len(self._text[start : self._cursor]) < len(wanted):
            missing = wanted[self._cursor - start :][: len(self._level)]
            self._change(Kind.TYPE, self._cursor, 0, missing, self._cursor + len(missing))

    def _clear_indentation(self) -> None:
        start = self._text.rfind("\n", 0, self._cursor) + 1
        if self._cursor > start:
            self._change(Kind.DELETE, start, self._cursor - start, "", start)

    def _move(self, offset: int) -> None:
        if offset != self._cursor:
            self._think("jump")
            self._change(Kind.MOVE, offset, 0, "", offset)

    def _key(self, character: str) -> None:
        self._change(Kind.TYPE, self._cursor, 0, character, self._cursor + 1)

    def _change(self, kind: Kind, offset: int, deleted: int, inserted: str, cursor: int, *, pause: bool = True) -> None:
        if pause:
            self._pause()
        key = Key(round(self._time), kind, offset, deleted, inserted, cursor)
        self._recording.keys.append(key)
        self._text = key.apply(self._text)
        self._cursor = cursor

    def _pause(self) -> None:
        self._time += self._rng.lognormvariate(math.log(KEY_GAP_MEAN) - _SIGMA**2 / 2, _SIGMA)

    def _think(self, why: str) -> None:
        self._time += self._rng.lognormvariate(math.log(THINKING[why]), 0.8)


def _pieces(text: str) -> list[_Piece]:
    """Blocks between blank lines, with imports and documentation as pieces of their own."""
    pieces: list[_Piece] = []
    ends = ""
    """What ends the import or comment that goes over several lines."""
    is_code = False
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        begins = not ends and _starts_piece(stripped, pieces[-1].text if pieces else "", is_code=is_code)
        if ends:
            ends = "" if stripped.endswith(ends) else ends
        elif begins or not is_code:
            ends = _unfinished(stripped)
            is_code = not _is_import(stripped) and not _is_documentation(stripped)
        if begins:
            pieces.append(_Piece(sum(len(each.text) for each in pieces), line))
        else:
            pieces[-1].text += line
    return pieces


def _starts_piece(stripped: str, before: str, *, is_code: bool) -> bool:
    if not before:
        return True
    if not stripped:
        return False
    if _is_import(stripped) or _is_documentation(stripped):
        return True
    return before.endswith("\n\n") or not is_code


def _unfinished(stripped: str) -> str:
    """What the line, an import or documentation, waits for."""
    if _is_import(stripped):
        return {"(": ")", "{": "}"}.get(stripped[-1], "")
    if not _is_documentation(stripped):
        return ""
    closing = '"""' if stripped.startswith('"""') else "*/"
    return "" if stripped.endswith(closing) and len(stripped) > 5 else closing


def _is_import(text: str) -> bool:
    return bool(re.match(r"(?:from|import)\b", text)) and "__future__" not in text


def _is_documentation(text: str) -> bool:
    return text.lstrip().startswith(('"""', "/**"))


def _imported(statement: str) -> set[str]:
    """The names that an import brings."""
    return set(_WORD.findall(statement)) - {"from", "import", "as", "type"}
