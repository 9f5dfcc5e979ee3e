"""Code of other files that may help with a completion: what was looked at lately, and what is imported.

All of it is chosen ahead and then held still: a chunk that came, went or moved would change the beginning of the
prompt, and the engine would have to read all of it again.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.window import plain

CHUNK_LINES = 32
"""Lines of a chunk, about a screen."""
LONGEST_CHUNK = 4000
"""Characters of a chunk, at most."""
_WORD = re.compile(r"[^\W\d]\w{2,}")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of another file."""

    uri: str
    path: str
    """As the model is told."""
    text: str
    """Line endings are plain line feeds."""

    def similarity(self, other: Chunk) -> float:
        """Share of their lines that both have, 0 to 1."""
        mine, theirs = ({line.strip() for line in each.text.split("\n")} - {""} for each in (self, other))
        return len(mine & theirs) / max(1, len(mine | theirs))


@dataclass(frozen=True, slots=True)
class FileContext:
    """What the model is told of other files."""

    chunks: tuple[Chunk, ...] = ()
    """In the order of the prompt: the most telling last, next to the document."""
    repository: str = ""
    """Name of the folder that the files are in."""

    def allowed(self, exclusion: Exclusion) -> FileContext:
        """What of it may be shown to a model."""
        kept = tuple(chunk for chunk in self.chunks if not exclusion.forbids_reading(chunk.uri, chunk.text))
        return FileContext(kept, self.repository)


class ChunkRing:
    """The chunks that were edited or looked at last.

    A chunk takes the place of those that are much like it: older states of the same lines, mostly (the idea is
    llama.vim's).

    :param most: chunks remembered.
    :param alike: similarity from which on a chunk takes another's place.
    """

    def __init__(self, most: int = 16, alike: float = 0.5) -> None:
        self._chunks: deque[Chunk] = deque(maxlen=most)
        self._alike = alike

    def add(self, chunk: Chunk) -> None:
        """Remember a chunk as the newest."""
        kept = [each for each in self._chunks if each.similarity(chunk) < self._alike]
        self._chunks.clear()
        self._chunks.extend([*kept, chunk])

    def __iter__(self) -> Iterator[Chunk]:
        """The chunks, oldest first."""
        return iter(tuple(self._chunks))


def chunk_around(snapshot: Snapshot, offset: int, path: str) -> Chunk | None:
    """The lines around an offset; ``None`` where there is nothing to see."""
    text = snapshot.text
    start = end = max(0, min(offset, len(text)))
    for _ in range(CHUNK_LINES // 2):
        start = text.rfind("\n", 0, max(0, start - 1)) + 1 if start else 0
        following = text.find("\n", end)
        end = following + 1 if following >= 0 else len(text)
    cut = plain(text[start:end])[:LONGEST_CHUNK].strip("\n")
    return Chunk(snapshot.uri, path, cut) if cut.count("\n") >= 2 else None


def most_telling(chunks: Iterable[Chunk], near: str) -> list[Chunk]:
    """Chunks by the share of their identifiers that occur in ``near`` too, the most telling last."""
    known = set(_WORD.findall(near))

    def telling(chunk: Chunk) -> float:
        words = set(_WORD.findall(chunk.text))
        return len(words & known) / (1 + len(words | known))

    return sorted(chunks, key=telling)
