"""The code of other files in each client's prompts, gathered in the background.

A completion uses the context that is held and never waits for a file. `hold` changes it, after the engine has prefilled
the new prompt, so no keystroke pays for the change.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import anyio.to_thread

from cato_lsp.tasks.context import Chunk, ChunkRing, FileContext, chunk_around, most_telling
from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.tasks.fim import NO_CONTEXT
from cato_lsp.tasks.imports import Import, candidates, definitions, imports_of
from cato_lsp.tasks.snapshot import Snapshot

FAR = 2000
"""A cursor that moves further than this many characters leaves its place."""
NEAR = 3000
"""Characters around the cursor that chunks are ranked by."""
_DOCUMENTS = 32
_MOST_IMPORTS = 32
_LARGEST_FILE = 200_000
_LONGEST_SEARCH = 0.25
"""Seconds after which no further import is searched for."""
_LONGEST_DEFINITIONS = 3000


@dataclass(slots=True)
class _Client:
    roots: tuple[Path, ...] = ()
    ring: ChunkRing = field(default_factory=ChunkRing)
    last: tuple[Snapshot, int] | None = None
    held: OrderedDict[str, FileContext] = field(default_factory=OrderedDict[str, FileContext])


class Contexts:
    """The context of all clients."""

    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}

    def open_folders(self, client: str, roots: Sequence[Path]) -> None:
        """Set the folders in which imports are looked up. Without folders, no import is."""
        self._of(client).roots = tuple(roots)

    def look(self, client: str, snapshot: Snapshot, offset: int) -> None:
        """Note the position of the cursor. The code around the place it left goes into the ring."""
        mine = self._of(client)
        left, mine.last = mine.last, (snapshot, offset)
        if left is None:
            return
        before, at = left
        if before.uri != snapshot.uri or abs(offset - at) > FAR:
            chunk = chunk_around(before, at, self._name(mine, before.uri))
            if chunk is not None:
                mine.ring.add(chunk)

    def last(self, client: str) -> tuple[Snapshot, int] | None:
        """The last position of the cursor."""
        return self._of(client).last

    def held(self, client: str, uri: str) -> FileContext:
        """The context of a document's completions. Returns at once."""
        mine = self._clients.get(client)
        return NO_CONTEXT if mine is None else mine.held.get(uri, NO_CONTEXT)

    def hold(self, client: str, uri: str, context: FileContext) -> None:
        """Use this context for a document's completions from now on."""
        held = self._of(client).held
        held[uri] = context
        held.move_to_end(uri)
        while len(held) > _DOCUMENTS:
            held.popitem(last=False)

    async def gather(self, client: str, snapshot: Snapshot, offset: int, exclusion: Exclusion) -> FileContext:
        """New context for a document: the definitions of its imports, and code that was recently edited or viewed."""
        mine = self._of(client)
        imported = await anyio.to_thread.run_sync(_imported, snapshot, mine.roots, exclusion)
        recent = [chunk for chunk in mine.ring if chunk.uri != snapshot.uri]
        near = snapshot.text[max(0, offset - NEAR) : offset + NEAR]
        repository = mine.roots[0].name if mine.roots else ""
        return FileContext(tuple(most_telling([*recent, *imported], near)), repository).allowed(exclusion)

    def forget_document(self, client: str, uri: str) -> None:
        """Forget the context of a closed document. Its chunks stay in the ring."""
        self._of(client).held.pop(uri, None)

    def forget(self, client: str) -> None:
        """Forget a client."""
        self._clients.pop(client, None)

    def _of(self, client: str) -> _Client:
        return self._clients.setdefault(client, _Client())

    @staticmethod
    def _name(mine: _Client, uri: str) -> str:
        return _shown_path(Path(unquote(urlsplit(uri).path)), mine.roots)


def _imported(snapshot: Snapshot, roots: Iterable[Path], exclusion: Exclusion) -> list[Chunk]:
    """The definitions that a document imports from its workspace. Reads files: not for the event loop."""
    parts = urlsplit(snapshot.uri)
    if parts.scheme != "file":
        return []
    importer = PurePosixPath(unquote(parts.path))
    ends = time.monotonic() + _LONGEST_SEARCH
    chunks: list[Chunk] = []
    for root in roots:
        if not importer.is_relative_to(root):
            continue
        for wanted in imports_of(snapshot.text, snapshot.language)[:_MOST_IMPORTS]:
            if time.monotonic() > ends:
                break
            chunk = _definitions(wanted, importer, root, snapshot.language, exclusion)
            if chunk is not None:
                chunks.append(chunk)
    return chunks


def _definitions(
    wanted: Import, importer: PurePosixPath, root: Path, language: str, exclusion: Exclusion
) -> Chunk | None:
    for path, part in candidates(wanted, importer, PurePosixPath(root)):
        text = _read(Path(path), root, exclusion) if path != importer else ""
        if not text:
            continue
        short = definitions(text, language, part.names)
        if short.strip():
            cut = short if len(short) <= _LONGEST_DEFINITIONS else short[:_LONGEST_DEFINITIONS].rpartition("\n")[0]
            return Chunk(Path(path).as_uri(), _shown_path(Path(path), (root,)), cut)
    return None


def _read(path: Path, root: Path, exclusion: Exclusion) -> str:
    """The text of a file that may be shown to a model; empty if there is none."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_FILE:
            return ""
        if not path.resolve().is_relative_to(root.resolve()) or exclusion.forbids_reading(path.as_uri()):
            return ""
        text = path.read_text(encoding="utf-8")
    except (OSError, RuntimeError, ValueError):
        return ""
    return "" if exclusion.forbids_reading(path.as_uri(), text) else text


def _shown_path(path: Path, roots: Iterable[Path]) -> str:
    root = next((root for root in roots if path.is_relative_to(root)), path.parent)
    return path.relative_to(root).as_posix()
