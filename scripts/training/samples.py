"""Training samples of source files: plain continuation and fill-in-the-middle, as token ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Protocol

from tokenizers import Tokenizer

from training.corpus import SourceFile
from training.repository import Repository
from training.text import Hole, line_start, pick_hole, text_after
from training.tokenizer import SPECIAL_TOKENS

CHARS_PER_TOKEN = 3.6
CUT_WORDS = 0.2
OTHERS_SHARE = 0.2
"""Share of the holes with a long context that have code of other files before them."""
ROOM_FOR_OTHERS = 256
"""Tokens from which on a context is long."""
_WORD = re.compile(r"\w{2,}")


@dataclass(frozen=True, slots=True)
class Markers:
    """Ids of the tokens after which an answer begins, and of the one that ends it."""

    openers: tuple[int, ...] = ()
    end: int = -1


class SampleSource(Protocol):
    """Anything that yields samples of at most ``budget`` tokens."""

    def sample(self, rng: Random, budget: int) -> list[int]: ...


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


class Mixture:
    """Samples of several sources, each with its share."""

    def __init__(self, sources: Sequence[SampleSource], shares: Sequence[float]) -> None:
        self._sources = sources
        self._shares = list(accumulate(shares))

    def sample(self, rng: Random, budget: int) -> list[int]:
        """One sample of at most ``budget`` tokens."""
        return rng.choices(self._sources, cum_weights=self._shares)[0].sample(rng, budget)


class CodeSamples:
    """Plain and fill-in-the-middle samples; a package has the weight ``size ** temper``, a file its size."""

    def __init__(
        self, files: Iterable[SourceFile], encode: Encoder, *, fim_share: float = 0.8, temper: float = 0.5
    ) -> None:
        by_package: dict[str, list[SourceFile]] = {}
        for file in files:
            by_package.setdefault(file.package, []).append(file)
        self._packages = [Repository(package) for package in by_package.values()]
        self._weights = list(accumulate(package.size**temper for package in self._packages))
        self._encode = encode
        self._fim_share = fim_share

    def sample(self, rng: Random, budget: int) -> list[int]:
        """One sample of at most ``budget`` tokens."""
        package = rng.choices(self._packages, cum_weights=self._weights)[0]
        file = package.pick(rng)
        named = [self._encode.special["<|file_sep|>"], *self._encode(file.path + "\n")]
        header = [] if rng.random() < 0.5 else named
        room = budget - len(header) - 4
        if room < 24:
            return self._plain(file, rng, budget, [])
        if rng.random() >= self._fim_share:
            return self._plain(file, rng, room, header)
        hole = pick_hole(file.text, rng)
        if room > ROOM_FOR_OTHERS and rng.random() < OTHERS_SHARE:
            room = budget - len(named) - 4
            others = self._others(package.chunks(file, hole.start, rng, 4), room // rng.choice((2, 3, 4)))
            return self._fim(file, hole, rng, room - len(others), [*others, *named])
        # Mostly short contexts, so that a long row holds several holes.
        short = int(64 * 8 ** rng.random()) if rng.random() < 0.75 else room
        return self._fim(file, hole, rng, min(room, short), header)

    def _others(self, chunks: Iterable[tuple[str, str]], room: int) -> list[int]:
        """Code of other files in the form that :mod:`cato_lsp.tasks.fim` gives it, of at most ``room`` tokens."""
        ids: list[int] = []
        for path, text in chunks:
            chunk = [self._encode.special["<|file_sep|>"], *self._encode(f"{path}\n{text}\n")]
            if len(ids) + len(chunk) <= room:
                ids += chunk
        return ids

    def _plain(self, file: SourceFile, rng: Random, room: int, header: list[int]) -> list[int]:
        start = 0 if rng.random() < 0.2 else line_start(file.text, rng.randrange(len(file.text)))
        text = file.text[start : start + int(room * CHARS_PER_TOKEN * 1.3)]
        ids = self._text(text, rng)
        if len(ids) < room and start + len(text) == len(file.text):
            ids.append(self._encode.end)
        return (header + ids)[: room + len(header)]

    def _fim(self, file: SourceFile, hole: Hole, rng: Random, room: int, header: list[int]) -> list[int]:
        text = file.text
        middle = self._middle(text, hole, rng)
        room -= len(middle)
        if room < 8:
            return self._plain(file, rng, room + len(middle), header)
        after_share = rng.choice((0.0, 0.05, 0.2, 0.35, 0.35, 0.5))
        after = self._encode(text_after(text, hole.end, int(room * after_share * CHARS_PER_TOKEN), rng))
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
