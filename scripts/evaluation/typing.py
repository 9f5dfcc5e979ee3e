"""What a person sees while typing: the model's answers as they came, and what the product shows of each."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Self

from cato_lsp.engine.api import CallUsage, Delta
from evaluation.places import Place

COMMENTS = ("//", "--", "#", "*", "/*")


@dataclass(frozen=True, slots=True)
class Trace:
    """One answer to one place, token by token, until the stop rules or the model ended it."""

    place: Place
    language: str
    deltas: list[tuple[str, int, float, str | None]]
    """Text, tokens, log-probability and finish reason of each step."""
    seconds: float


def text_places(files: Sequence[tuple[str, str]], count: int, seed: int) -> list[Place]:
    """Cursors inside lines that are no comment, in any language; the rest of the line, three characters or more, is
    taken out.
    """
    rng = Random(seed)
    places: list[Place] = []
    while len(places) < count:
        path, text = rng.choice(files)
        lines = text.split("\n")
        number = rng.randrange(len(lines))
        line = lines[number].rstrip()
        first = len(line) - len(line.lstrip()) + 1
        if len(line) - 3 < first or line.strip().startswith(COMMENTS):
            continue
        start = sum(len(each) + 1 for each in lines[:number])
        offset = start + rng.randint(first, len(line) - 3)
        end = start + len(line)
        places.append(Place(path, text[:offset] + text[end:], offset, text[offset:end]))
    return places


def save(traces: Iterable[Trace], path: Path) -> None:
    """Write traces, one JSON object a line."""
    path.write_text("".join(json.dumps(asdict(trace)) + "\n" for trace in traces), encoding="utf-8")


def load(path: Path) -> list[Trace]:
    """Read what `save` wrote."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Trace(Place(**row["place"]), row["language"], [tuple(each) for each in row["deltas"]], row["seconds"])
        for row in rows
    ]


class Replay:
    """A call's stream that gives recorded deltas."""

    def __init__(self, trace: Trace) -> None:
        self._deltas = trace.deltas
        self.read = 0
        """Tokens that were read."""
        self.usage = CallUsage()

    def cancel(self) -> None:
        """Nothing runs."""

    async def __aiter__(self) -> AsyncIterator[Delta]:
        for text, tokens, likely, reason in self._deltas:
            self.read += tokens
            yield Delta(text, tokens, reason, log_probability=likely)  # type: ignore[arg-type]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@dataclass(slots=True)
class Shown:
    """Sums over places."""

    places: int = 0
    shown: int = 0
    right: int = 0
    whole: int = 0
    right_characters: int = 0
    wrong_characters: int = 0
    tokens: int = 0

    def add(self, text: str, place: Place) -> None:
        """Judge what is shown at a place: right if what stood there begins with it."""
        wanted, shown = place.wanted.rstrip(), text.partition("\n")[0].rstrip()
        self.places += 1
        self.whole += shown == wanted
        if not shown:
            return
        self.shown += 1
        if wanted.startswith(shown):
            self.right += 1
            self.right_characters += len(shown)
        else:
            self.wrong_characters += len(shown)

    def row(self) -> dict[str, float]:
        """The figures, shares of places and of what is shown; characters per place."""
        places, shown = max(1, self.places), max(1, self.shown)
        return {
            "shown": self.shown / places,
            "right of shown": self.right / shown,
            "whole line": self.whole / places,
            "right characters per place": self.right_characters / places,
            "wrong characters per place": self.wrong_characters / places,
            "tokens per place": self.tokens / places,
        }


def elapsed(since: float) -> float:
    """Seconds on the monotonic clock."""
    return time.monotonic() - since
