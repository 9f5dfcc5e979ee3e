"""Training samples of source files: plain continuation and fill-in-the-middle, as token ids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Protocol

from tokenizers import Tokenizer

from training.corpus import SourceFile
from training.tokenizer import SPECIAL_TOKENS

CHARS_PER_TOKEN = 3.6
CUT_WORDS = 0.2
_WORD = re.compile(r"\w{2,}")


@dataclass(frozen=True, slots=True)
class Markers:
    """Ids of the tokens after which an answer begins, and of the one that ends it."""

    openers: tuple[int, ...] = ()
    end: int = -1


class SampleSource(Protocol):
    """Anything that yields samples of at most ``budget`` tokens."""

    def sample(self, rng: Random, budget: int) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Hole:
    """A place to fill: the middle is ``text[start:end]``; its first ``typed`` characters stand there."""

    start: int
    end: int
    typed: int


class Encoder:
    """A tokenizer with its special tokens at hand."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.encode_special_tokens = True
        self.special = {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}
        self.end = self.special["<|endoftext|>"]
        self.markers = Markers((self.special["<|fim_middle|>"], self.special["<|answer|>"]), self.end)

    def __call__(self, text: str) -> list[int]:
        """Ids of ``text``; where it names a special token, that is text like any other."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def with_cut_words(self, text: str, rng: Random) -> list[int]:
        """Ids of ``text`` with some words encoded in two parts, as a cursor within a word leaves them.

        So every line teaches how a word goes on that is written in part (the idea of BPE dropout, Provilkov et
        al., 2020), and not only the one line of a filled hole.
        """
        pieces: list[str] = []
        start = 0
        for word in _WORD.finditer(text):
            if rng.random() < CUT_WORDS:
                cut = rng.randint(word.start() + 1, word.end() - 1)
                pieces.append(text[start:cut])
                start = cut
        encodings = self._tokenizer.encode_batch([*pieces, text[start:]], add_special_tokens=False)
        return [i for encoding in encodings for i in encoding.ids]


class CodeSamples:
    """Plain and fill-in-the-middle samples; a package has the weight ``size ** temper``, a file its size."""

    def __init__(
        self, files: list[SourceFile], encode: Encoder, *, fim_share: float = 0.8, temper: float = 0.5
    ) -> None:
        by_package: dict[str, list[SourceFile]] = {}
        for file in files:
            by_package.setdefault(file.package, []).append(file)
        self._packages = list(by_package.values())
        self._files = [list(accumulate(len(f.text) for f in package)) for package in self._packages]
        self._weights = list(accumulate(sizes[-1] ** temper for sizes in self._files))
        self._encode = encode
        self._fim_share = fim_share

    def sample(self, rng: Random, budget: int) -> list[int]:
        """One sample of at most ``budget`` tokens."""
        file = self._file(rng)
        header = self._header(file, rng)
        room = budget - len(header) - 4
        if room < 24:
            return self._plain(file, rng, budget, [])
        if rng.random() < self._fim_share:
            # Mostly short contexts, so that a long row holds several holes.
            short = int(64 * 8 ** rng.random()) if rng.random() < 0.75 else room
            return self._fim(file, rng, min(room, short), header)
        return self._plain(file, rng, room, header)

    def _file(self, rng: Random) -> SourceFile:
        index = rng.choices(range(len(self._packages)), cum_weights=self._weights)[0]
        return rng.choices(self._packages[index], cum_weights=self._files[index])[0]

    def _header(self, file: SourceFile, rng: Random) -> list[int]:
        if rng.random() < 0.5:
            return []
        return [self._encode.special["<|file_sep|>"], *self._encode(file.path + "\n")]

    def _plain(self, file: SourceFile, rng: Random, room: int, header: list[int]) -> list[int]:
        start = 0 if rng.random() < 0.2 else _line_start(file.text, rng.randrange(len(file.text)))
        text = file.text[start : start + int(room * CHARS_PER_TOKEN * 1.3)]
        ids = self._text(text, rng)
        if len(ids) < room and start + len(text) == len(file.text):
            ids.append(self._encode.end)
        return (header + ids)[: room + len(header)]

    def _fim(self, file: SourceFile, rng: Random, room: int, header: list[int]) -> list[int]:
        text, hole = file.text, pick_hole(file.text, rng)
        middle = self._middle(text, hole, rng)
        room -= len(middle)
        if room < 8:
            return self._plain(file, rng, room + len(middle), header)
        after_share = rng.choice((0.0, 0.05, 0.2, 0.35, 0.35, 0.5))
        after = self._encode(_after(text, hole.end, int(room * after_share * CHARS_PER_TOKEN), rng))
        after = after[: int(room * 0.6)]
        before = self._before(text, hole.start, room - len(after), rng)
        prefix, suffix, fill, end = (
            self._encode.special[t] for t in ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>")
        )
        if rng.random() < 0.8:
            return [*header, prefix, *before, suffix, *after, fill, *middle, end]
        return [*header, suffix, *after, prefix, *before, fill, *middle, end]

    def _middle(self, text: str, hole: Hole, rng: Random) -> list[int]:
        middle = text[hole.start : hole.end]
        typed = middle[: hole.typed].rstrip(" \t")
        if not typed or rng.random() < 0.15:
            return self._encode(middle)
        return self._encode(typed) + self._encode(middle[len(typed) :])

    def _text(self, text: str, rng: Random) -> list[int]:
        return self._encode.with_cut_words(text, rng) if rng.random() < 0.8 else self._encode(text)

    def _before(self, text: str, end: int, room: int, rng: Random) -> list[int]:
        """Text that ends at ``end`` and starts at a line start, of at most ``room`` tokens."""
        chars = int(room * CHARS_PER_TOKEN * (1.0 if rng.random() < 0.7 else rng.random()))
        while True:
            start = max(0, end - chars)
            if start:
                line = text.find("\n", start, end)
                start = end if line < 0 else line + 1
            ids = self._text(text[start:end], rng)
            if len(ids) <= room:
                return ids
            chars = int(chars * 0.8)


def pick_hole(text: str, rng: Random) -> Hole:
    """A place as one leaves it while typing: mostly one line, else the rest of a block, else any span."""
    kind = rng.random()
    if kind > 0.95:
        start = rng.randrange(len(text))
        return Hole(start, _word_end(text, start + int(rng.expovariate(1 / 80)) + 1), 0)
    start = _line_start(text, rng.randrange(len(text)))
    while text.startswith("\n", start):
        start += 1
    start = min(start, len(text) - 1)
    line_end = _line_end(text, start)
    length = line_end - start
    indent = length - len(text[start:line_end].lstrip())
    typed = indent + int(rng.random() * (length - indent + 1)) if rng.random() < 0.8 else 0
    if kind > 0.72:
        return Hole(start, block_end(text, start, rng.choice((3, 6, 12))), typed)
    if rng.random() < 0.1 and typed < length:
        return Hole(start, min(_word_end(text, start + rng.randint(typed + 1, length)), line_end), typed)
    return Hole(start, line_end, typed)


def block_end(text: str, start: int, most_lines: int) -> int:
    """End of the block of the line at ``start``: the last line before the first that is indented less."""
    end = line_end = _line_end(text, start)
    indent = _indent(text[start:line_end])
    for _ in range(most_lines - 1):
        if line_end >= len(text):
            break
        line_start, line_end = line_end + 1, _line_end(text, line_end + 1)
        line = text[line_start:line_end]
        if line.strip():
            if _indent(line) < indent:
                break
            end = line_end
    return end


def _after(text: str, start: int, chars: int, rng: Random) -> str:
    """Text from ``start`` on, to a line end near ``chars``; at times only the rest of the line, or none."""
    chance = rng.random()
    if chance < 0.12 and text.startswith("\n", start):
        return ""
    if chance < 0.2:
        return text[start : _line_end(text, start)]
    cut = min(len(text), start + chars)
    return text[start : _line_end(text, cut) + 1]


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _word_end(text: str, position: int) -> int:
    """The first end of a word at or after ``position``: an answer never ends within one."""
    while (
        0 < position < len(text)
        and text[position - 1].isalnum()
        and (text[position].isalnum() or text[position] == "_")
    ):
        position += 1
    return min(position, len(text))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
