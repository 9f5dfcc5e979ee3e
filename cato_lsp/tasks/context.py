"""Code of other files that may help with a completion: recently viewed code, and definitions of imports.

It is chosen in advance and then kept: adding, removing or moving a chunk would change the start of the prompt, and the
engine would have to prefill all of it again.
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
    """A few whole lines of another file."""

    uri: str
    path: str
    """The path that the model sees."""
    text: str
    """Line endings are plain line feeds."""

    def similarity(self, other: Chunk) -> float:
        """Share of lines that both chunks have, 0 to 1."""
        mine, theirs = ({line.strip() for line in each.text.split("\n")} - {""} for each in (self, other))
        return len(mine & theirs) / max(1, len(mine | theirs))


@dataclass(frozen=True, slots=True)
class FileContext:
    """The code of other files in a prompt."""

    chunks: tuple[Chunk, ...] = ()
    """In the order of the prompt: the most relevant chunk is last, next to the document."""
    repository: str = ""
    """Name of the folder that the files are in."""

    def allowed(self, exclusion: Exclusion) -> FileContext:
        """The chunks that a model may see."""
        kept = tuple(chunk for chunk in self.chunks if not exclusion.forbids_reading(chunk.uri, chunk.text))
        return FileContext(kept, self.repository)


class ChunkRing:
    """The chunks that were edited or viewed last.

    A new chunk replaces similar ones, which are mostly older states of the same lines (the idea is from llama.vim).

    :param most: chunks remembered.
    :param alike: similarity at which a chunk replaces another one.
    """

    def __init__(self, most: int = 16, alike: float = 0.5) -> None:
        self._chunks: deque[Chunk] = deque(maxlen=most)
        self._alike = alike

    def add(self, chunk: Chunk) -> None:
        """Add a chunk as the newest."""
        kept = [each for each in self._chunks if each.similarity(chunk) < self._alike]
        self._chunks.clear()
        self._chunks.extend([*kept, chunk])

    def __iter__(self) -> Iterator[Chunk]:
        """The chunks, oldest first."""
        return iter(tuple(self._chunks))


def chunk_around(snapshot: Snapshot, offset: int, path: str) -> Chunk | None:
    """The lines around an offset; ``None`` if there are hardly any."""
    text = snapshot.text
    start = end = max(0, min(offset, len(text)))
    for _ in range(CHUNK_LINES // 2):
        start = text.rfind("\n", 0, max(0, start - 1)) + 1 if start else 0
        following = text.find("\n", end)
        end = following + 1 if following >= 0 else len(text)
    cut = plain(text[start:end])[:LONGEST_CHUNK].strip("\n")
    return Chunk(snapshot.uri, path, cut) if cut.count("\n") >= 2 else None


def most_telling(chunks: Iterable[Chunk], near: str) -> list[Chunk]:
    """Chunks sorted by the share of their identifiers that also occur in ``near``, the largest share last."""
    known = set(_WORD.findall(near))

    def telling(chunk: Chunk) -> float:
        words = set(_WORD.findall(chunk.text))
        return len(words & known) / (1 + len(words | known))

    return sorted(chunks, key=telling)
