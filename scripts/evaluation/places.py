"""Fixed random places in held-out files, with what stood there."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from training.corpus import SourceFile
from training.text import block_end

SEED = 500


@dataclass(frozen=True, slots=True)
class Place:
    """A file from which ``wanted`` was taken out at ``offset``."""

    path: str
    text: str
    """The file without ``wanted``."""
    offset: int
    wanted: str

    @property
    def line(self) -> str:
        """The line up to the cursor."""
        return self.text[self.text.rfind("\n", 0, self.offset) + 1 : self.offset]

    @property
    def within_word(self) -> bool:
        """Whether letters or digits stand on both sides of the cursor."""
        return (self.line[-1:] + self.wanted[:1]).replace("_", "a").isalnum() and bool(self.line and self.wanted)


def line_places(files: Sequence[SourceFile], count: int, seed: int = SEED) -> list[Place]:
    """Cursors inside lines of code; the rest of the line, three characters or more, is taken out."""
    rng = Random(seed)
    places: list[Place] = []
    while len(places) < count:
        file = rng.choice(files)
        lines = sorted(code_lines(file.text))
        if not lines:
            continue
        start = _line_offset(file.text, rng.choice(lines))
        end = file.text.find("\n", start)
        line = file.text[start : end if end >= 0 else len(file.text)].rstrip()
        first = len(line) - len(line.lstrip()) + 1
        if len(line) - 3 < first:
            continue
        offset = start + rng.randint(first, len(line) - 3)
        places.append(_without(file, offset, start + len(line)))
    return places


def block_places(files: Sequence[SourceFile], count: int) -> list[Place]:
    """Cursors at the indentation of a statement in a function; it and the rest of its block are taken out.

    Blocks have two to twelve lines.
    """
    rng = Random(SEED + 1)
    places: list[Place] = []
    while len(places) < count:
        file = rng.choice(files)
        statements = list(_statements(file.text))
        if not statements:
            continue
        line, column = rng.choice(statements)
        start = _line_offset(file.text, line)
        end = block_end(file.text, start, 13)
        if 2 <= file.text[start:end].count("\n") + 1 <= 12:
            places.append(_without(file, start + column, end))
    return places


def code_lines(text: str) -> set[int]:
    """Numbers, from 0, of the lines on which a token of code stands that is no comment and no docstring."""
    lines: set[int] = set()
    previous = tokenize.NEWLINE
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        documentation = token.type == tokenize.STRING and previous in (
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
        )
        if token.type not in skipped and not documentation and token.start[0] == token.end[0]:
            lines.add(token.start[0] - 1)
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            previous = token.type
    return lines


def _statements(text: str) -> Iterator[tuple[int, int]]:
    """Line, from 0, and column of each statement in a function that begins its line, docstrings left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    lines = text.splitlines()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for index, statement in enumerate(function.body):
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            line = statement.lineno - 1
            if not (index == 0 and is_text) and not lines[line][: statement.col_offset].strip():
                yield line, statement.col_offset


def _without(file: SourceFile, start: int, end: int) -> Place:
    return Place(file.path, file.text[:start] + file.text[end:], start, file.text[start:end])


def _line_offset(text: str, line: int) -> int:
    offset = 0
    for _ in range(line):
        offset = text.index("\n", offset) + 1
    return offset
