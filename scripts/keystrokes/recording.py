"""One typing session as data: what each key did to one document, and when."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Kind(StrEnum):
    """What a key did."""

    TYPE = "t"
    """It wrote a character, with what the editor adds: indentation after Enter, a closing bracket."""
    DELETE = "d"
    MOVE = "m"
    """The cursor jumped; the text is as before."""
    ACCEPT = "a"
    """A suggestion was accepted, whole or in part."""


class Key(NamedTuple):
    """One key. Offsets count characters of the text before it."""

    time: int
    """Milliseconds since the session began."""
    kind: Kind
    offset: int
    deleted: int
    inserted: str
    cursor: int
    """Where the cursor is afterwards."""

    def apply(self, text: str) -> str:
        """The document after the key."""
        return text[: self.offset] + self.inserted + text[self.offset + self.deleted :]


@dataclass(slots=True)
class Recording:
    """A session in one document."""

    language: str
    """LSP language id."""
    name: str
    """File name of the document."""
    licence: str
    """Under which the text is published."""
    made: str
    """Who or what typed, in words."""
    text: str = ""
    """The document before the first key."""
    keys: list[Key] = field(default_factory=list[Key])

    def states(self) -> Iterator[tuple[Key, str]]:
        """Each key with the document after it."""
        text = self.text
        for key in self.keys:
            text = key.apply(text)
            yield key, text

    @property
    def final(self) -> str:
        """The document after the last key."""
        text = self.text
        for key in self.keys:
            text = key.apply(text)
        return text

    def save(self, path: Path) -> None:
        """Write a line of JSON for the header and one for each key, packed."""
        header = {name: value for name, value in asdict(self).items() if name != "keys"}
        lines = [json.dumps(header, ensure_ascii=False), *(json.dumps(key, ensure_ascii=False) for key in self.keys)]
        path.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read what `save` wrote."""
        header, *lines = gzip.decompress(path.read_bytes()).decode().split("\n")
        keys = [Key(time, Kind(kind), *rest) for time, kind, *rest in map(json.loads, lines)]
        return cls(**json.loads(header), keys=keys)
