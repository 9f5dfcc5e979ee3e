"""What a person sees while typing and when asking: answers as the model gave them, and what the product shows of each.

An answer is recorded once, token by token, and replayed through the product's own `AnswerStream` for each threshold.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Self

from cato_lsp.engine.api import CallUsage, Delta
from cato_lsp.engine.thread import EngineThread
from cato_lsp.orchestrator.answer_stream import AnswerStream, completion_call
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.completion import CompletionPlan, CompletionPrompter, CompletionRequest
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.workspace.cache_model import CacheModel
from cato_lsp.workspace.folder import FolderIndex
from evaluation.places import Place

_COMMENTS = ("//", "--", "#", "*", "/*")
_FOREVER = 1e9


@dataclass(frozen=True, slots=True)
class Sources:
    """Files of one language, in packages; a package is what an editor would have open as its folder."""

    name: str
    language: str
    files: Mapping[str, str]
    """Texts by path."""
    packages: Mapping[str, str]
    """Packages by path."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One answer, until the stop rules, the model or the line ended it."""

    place: Place
    language: str
    deltas: list[tuple[str, int, float, str | None]]
    """Text, tokens, log-probability and finish reason of each step."""


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

    def add(self, text: str, place: Place, tokens: int) -> None:
        """Judge what is shown at a place: right if what stood there begins with it."""
        wanted, shown = place.wanted.rstrip(), text.partition("\n")[0].rstrip()
        self.places += 1
        self.tokens += tokens
        self.whole += shown == wanted
        self.shown += bool(shown)
        if shown and wanted.startswith(shown):
            self.right += 1
            self.right_characters += len(shown)
        else:
            self.wrong_characters += len(shown)

    def cells(self) -> list[str]:
        """Shares and sums, as a table shows them."""
        places, shown = max(1, self.places), max(1, self.shown)
        shares = [self.shown / places, self.right / shown, self.whole / places]
        characters = [self.right_characters / places, self.wrong_characters / places]
        return [
            *(f"{share:.0%}" for share in shares[:2]),
            f"{shares[2]:.1%}",
            *(f"{count:.2f}" for count in characters),
            f"{self.tokens / places:.1f}",
        ]


HEADER = ("shown", "right of shown", "whole line", "right characters", "wrong characters", "tokens")


def text_places(files: Mapping[str, str], count: int, seed: int) -> list[Place]:
    """Cursors in lines that hold more than a comment; the rest of the line, three characters or more, is taken out."""
    rng = Random(seed)
    paths = sorted(files)
    places: list[Place] = []
    while len(places) < count:
        path = rng.choice(paths)
        text = files[path]
        lines = text.split("\n")
        number = rng.randrange(len(lines))
        line = lines[number].rstrip()
        first = len(line) - len(line.lstrip()) + 1
        if len(line) - 3 < first or line.strip().startswith(_COMMENTS):
            continue
        start = sum(len(each) + 1 for each in lines[:number])
        offset, end = start + rng.randint(first, len(line) - 3), start + len(line)
        places.append(Place(path, text[:offset] + text[end:], offset, text[offset:end]))
    return places


@dataclass(slots=True)
class Recorder:
    """Asks one model at places, with a cache model over the place's package or without."""

    engine: EngineThread
    prompter: CompletionPrompter
    encode: Callable[[str], Sequence[int]]
    _indexes: dict[str, FolderIndex] = field(default_factory=dict[str, FolderIndex])
    _changed: dict[str, str] = field(default_factory=dict[str, str])
    """The file of each package that is not as it was built."""

    async def record(self, place: Place, sources: Sources, *, workspace: bool) -> Trace:
        """The answer at a place. The index has the place's file without what is wanted, as the editor has it."""
        plan = plan_of(self.prompter, place, sources.language)[1]
        cache = None
        if workspace:
            index = self.index(place, sources).outside(place.path, plan.document)
            cache = CacheModel(plan.tail, plan.document, index)
        slo = Slo(TaskKind.COMPLETION, ServiceClass.E2E, 0.0, _FOREVER, "evaluation")
        text, deltas = plan.stream(), list[tuple[str, int, float, str | None]]()
        written = ""
        async with self.engine.submit(replace(completion_call(plan, slo, cache=cache), scored=True)) as stream:
            async for delta in stream:
                deltas.append((delta.text, delta.tokens, delta.log_probability, delta.finish_reason))
                written += delta.text
                if text.feed(delta.text) or delta.finish_reason == "stop" or "\n" in written.lstrip("\n"):
                    break
        return Trace(place, sources.language, deltas)

    def index(self, place: Place, sources: Sources) -> FolderIndex:
        """The index of the place's package, with the place's file as it is at the place."""
        package = sources.packages[place.path]
        if (index := self._indexes.get(package)) is None:
            paths = [path for path, other in sources.packages.items() if other == package]
            index = self._indexes[package] = FolderIndex()
            index.build(((path, sources.files[path]) for path in paths), self.encode)
        changed = self._changed.get(package, place.path)
        self._changed[package] = place.path
        index.change({changed: sources.files[changed], place.path: place.text}.items(), self.encode)
        return index


def plan_of(prompter: CompletionPrompter, place: Place, language: str) -> tuple[CompletionRequest, CompletionPlan]:
    """The request of a person who asks at a place, and how the model is asked."""
    request = CompletionRequest(Snapshot(f"file:///{place.path}", language, 1, place.text), place.offset, invoked=True)
    plan = prompter.plan(request)
    assert plan is not None
    return request, plan


async def shown(trace: Trace, prompter: CompletionPrompter, min_probability: float) -> tuple[str, int]:
    """What the product shows of an answer on the cursor's line, and how many tokens it read for that."""
    place, replay = trace.place, _Replay(trace)
    request, plan = plan_of(prompter, place, trace.language)
    answer = AnswerStream(request, plan, replay, min_probability)
    await answer.read(request, lambda _delta, _first: None)
    completion = answer.completion(request)
    text = place.text if completion is None else completion.apply(place.text)
    return "" if text == place.text else text[place.offset :].partition("\n")[0], replay.tokens


class _Replay:
    """A call's stream that gives recorded deltas."""

    def __init__(self, trace: Trace) -> None:
        self._deltas = trace.deltas
        self.tokens = 0
        self.usage = CallUsage()

    def cancel(self) -> None:
        """Nothing runs."""

    async def __aiter__(self) -> AsyncIterator[Delta]:
        for text, tokens, likely, reason in self._deltas:
            self.tokens += tokens
            yield Delta(text, tokens, reason, log_probability=likely)  # type: ignore[arg-type]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


def save(traces: Iterable[Trace], path: Path) -> None:
    """Write traces, one JSON object a line."""
    path.write_text("".join(json.dumps(asdict(trace)) + "\n" for trace in traces), encoding="utf-8")


def load(path: Path) -> list[Trace]:
    """Read what `save` wrote."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Trace(Place(**row["place"]), row["language"], [tuple(d) for d in row["deltas"]]) for row in rows]
