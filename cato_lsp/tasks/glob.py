"""Patterns of paths, matched in time that grows with the length of the pattern and of the path, never faster.

A cloned repository brings patterns of its own. As regular expressions, which backtrack, a pattern like ``a*a*a*a*b``
could occupy the process for hours. Here a number's bits are the offsets of the path that a part of the pattern has
reached (a nondeterministic automaton in parallel, after Baeza-Yates and Gonnet, CACM 1992).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

_PART = re.compile(r"(\*\*/|\*\*|\*|\?|\{[^{}]*\}|\[!?[^\]/]{1,200}\])")
_PART_OF_GITIGNORE = re.compile(r"(\\.|(?<![^/])\*\*+(?:/|\Z)|\*|\?|\[[!^]?[^\]/]{1,200}\])", re.DOTALL)


@dataclass(slots=True)
class Subject:
    """A path, prepared to be matched. Bit ``n`` of each number stands for offset ``n`` of the path."""

    path: str
    at: dict[str, int] = field(default_factory=dict[str, int])
    """Where each character stands."""
    slashes: int = 0
    others: int = 0
    """Where anything but a slash stands."""

    def __post_init__(self) -> None:
        for offset, character in enumerate(self.path):
            self.at[character] = self.at.get(character, 0) | 1 << offset
        self.slashes = self.at.get("/", 0)
        self.others = self.slashes ^ ((1 << len(self.path)) - 1)


_Step = Callable[[Subject, int], int]
"""A part of a pattern: from the offsets where it may begin, which are some, to those where it may end."""


class Glob:
    """A pattern of a path. Matches the whole path, with letters in either case.

    ``**`` is any number of folders, ``*`` and ``?`` stay within a name, ``{a,b}`` is either, ``[a-z]`` and ``[!a-z]``
    are one character. A pattern that begins with a slash matches from the root, any other below any folder. A class
    of characters that is not valid matches everything: an exclusion excludes too much rather than too little.

    :param gitignore: the pattern is that of a ``.gitignore``: relative to a folder, case-sensitive, without braces, and
        a backslash escapes.
    """

    def __init__(self, pattern: str, *, gitignore: bool = False) -> None:
        if gitignore:
            self._steps = _steps(_PART_OF_GITIGNORE.split(pattern))
        else:
            begin = partial(_literal, "/") if pattern.startswith("/") else _folders
            self._steps = [begin, *_steps(_PART.split(fold(pattern.lstrip("/"))))]

    def matches(self, subject: Subject) -> bool:
        """Whether the pattern matches the path; ``subject`` is of a `fold`-ed path unless case matters."""
        reached = 1
        for step in self._steps:
            reached = step(subject, reached)
            if not reached:
                return False
        return bool(reached >> len(subject.path))


def fold(text: str) -> str:
    """``text`` without the difference of upper and lower case, and of the same length."""
    if text.isascii():
        return text.lower()
    return "".join(folded if len(folded := each.casefold()) == 1 else each for each in text)


def _steps(pieces: list[str]) -> list[_Step]:
    """The steps of a pattern, of which every second piece is text as it stands."""
    steps = (_step(piece) if number % 2 else partial(_literal, piece) for number, piece in enumerate(pieces))
    return list(steps)


def _step(piece: str) -> _Step:
    match piece[0], piece:
        case _, "*":
            return _part_of_name
        case "*", _:
            return _folders if piece.endswith("/") else _anything
        case _, "?":
            return partial(_one_of, [], True)
        case "{", _:
            return partial(_either, piece[1:-1].split(","))
        case "[", _:
            return _class(piece[1:-1])
        case _:
            return partial(_literal, piece[1:])


def _literal(text: str, subject: Subject, reached: int) -> int:
    for character in text:
        reached = (reached & subject.at.get(character, 0)) << 1
        if not reached:
            break
    return reached


def _either(texts: list[str], subject: Subject, reached: int) -> int:
    ends = 0
    for text in texts:
        ends |= _literal(text, subject, reached)
    return ends


def _part_of_name(subject: Subject, reached: int) -> int:
    # The carry of the addition runs through the characters up to the next slash.
    return (((reached & subject.others) + subject.others) ^ subject.others) | reached


def _anything(subject: Subject, reached: int) -> int:
    return (1 << len(subject.path) + 1) - (reached & -reached)


def _folders(subject: Subject, reached: int) -> int:
    first = reached & -reached
    return reached | (subject.slashes & -first) << 1


def _class(text: str) -> _Step:
    negated = text[:1] in ("!", "^")
    bounds: list[tuple[str, str]] = []
    at = int(negated)
    while at < len(text):
        is_range = text[at + 1 : at + 2] == "-" and at + 2 < len(text)
        bounds.append((text[at], text[at + 2 if is_range else at]))
        at += 3 if is_range else 1
    if not bounds or any(first > last for first, last in bounds):
        return _anything
    return partial(_one_of, bounds, negated)


def _one_of(bounds: list[tuple[str, str]], negated: bool, subject: Subject, reached: int) -> int:
    offsets = 0
    for character, where in subject.at.items():
        if any(first <= character <= last for first, last in bounds) != negated:
            offsets |= where
    return (reached & offsets & subject.others) << 1
