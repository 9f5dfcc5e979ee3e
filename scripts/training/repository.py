"""Code of the other files of a package that goes before a hole, as the product puts it before a completion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from random import Random

from training.corpus import SourceFile
from training.text import block_end, line_start

_WORD = re.compile(r"[^\W\d]\w{2,}")
_DEFINITION = re.compile(
    r"^[ \t]*"
    r"(?:(?:export|default|declare|abstract|async|public|private|protected|static|final|unsafe|pub(?:\(\w+\))?)\s+)*"
    r"(?:def|class|function|fn|func|struct|interface|type|enum|trait|const|#define)\s+(?:\([^)\n]*\)\s*)?(\w{3,})",
    re.MULTILINE,
)
_NEAR = 600
"""Characters before a hole whose words say what code is related."""
_CANDIDATES = 10
_LONGEST = 1500
"""Characters of a chunk, at most."""


class Repository:
    """The files of one package."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self.files = files
        self._sizes = list(accumulate(len(file.text) for file in files))

    @property
    def size(self) -> int:
        """Characters of all files."""
        return self._sizes[-1]

    def pick(self, rng: Random) -> SourceFile:
        """A file, each with the weight of its size."""
        return rng.choices(self.files, cum_weights=self._sizes)[0]

    def chunks(self, file: SourceFile, offset: int, rng: Random, most: int) -> list[tuple[str, str]]:
        """At most ``most`` chunks of other files, path and text, the one most similar to what is at ``offset`` last.

        They are definitions of what is named before ``offset``, or of random chunks those that share the most words
        with that text (as in RepoCoder; Zhang et al., 2023).
        """
        words = set(_WORD.findall(file.text[max(0, offset - _NEAR) : offset]))
        if rng.random() < 0.5:
            found = self._defined(file, words, rng)
        else:
            found = [chunk for _ in range(_CANDIDATES) if (chunk := self._random_chunk(file, rng))]
        by_path_and_text = {chunk: _similarity(words, chunk[1]) for chunk in found}
        return sorted(by_path_and_text, key=lambda chunk: by_path_and_text[chunk])[-most:]

    @cached_property
    def _definitions(self) -> dict[str, tuple[int, int]]:
        """For each name, a file that defines it and where."""
        return {
            match.group(1): (index, match.start())
            for index, file in enumerate(self.files)
            for match in _DEFINITION.finditer(file.text)
        }

    def _defined(self, file: SourceFile, words: set[str], rng: Random) -> list[tuple[str, str]]:
        places = [self._definitions[word] for word in sorted(words) if word in self._definitions]
        places = [place for place in places if self.files[place[0]] is not file]
        chosen = rng.sample(places, min(_CANDIDATES, len(places)))
        return [(self.files[index].path, _lines_from(self.files[index].text, start, rng)) for index, start in chosen]

    def _random_chunk(self, file: SourceFile, rng: Random) -> tuple[str, str] | None:
        other = self.pick(rng)
        if other is file:
            return None
        start = line_start(other.text, rng.randrange(len(other.text)))
        return other.path, _lines_from(other.text, start, rng)


def _lines_from(text: str, start: int, rng: Random) -> str:
    """Some lines from the line at ``start`` on, to the end of its block if that comes first."""
    start += len(text[start:]) - len(text[start:].lstrip("\n"))
    end = block_end(text, start, rng.choice((4, 8, 16, 24)))
    return text[start : min(end, start + _LONGEST)]


def _similarity(words: set[str], text: str) -> float:
    """Share of the words of both that both have, 0 to 1."""
    others = set(_WORD.findall(text))
    return len(words & others) / max(1, len(words | others))
