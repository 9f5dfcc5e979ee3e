"""Plays a recorded session against a live engine: as our server answers it, and as a plain client would.

Time is real, but pauses in which nothing is computed are cut short: once the answer to a key is there and the engine
rests, the next key comes, since more waiting would change nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice, pairwise

import anyio

from cato_lsp.config import Settings
from cato_lsp.engine.api import Call, CallUsage
from cato_lsp.lsp.backend import Backend
from cato_lsp.orchestrator.record import Outcome, Source
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.completion import CompletionRequest
from cato_lsp.tasks.fim_family import FimFamily
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer
from keystrokes.layouts import sliding_windows
from keystrokes.recording import Key, Kind, Recording

DEADLINE = 0.2
"""Seconds after a key in which its answer should be there; also the promise of a completion."""
PLAIN_ANSWER = 64
"""Most tokens of a plain client's answer."""
_MOMENT = 0.0005


@dataclass(slots=True)
class Played:
    """What became of the keys of one session."""

    keys: int = 0
    """Keys that asked for a completion."""
    without_call: int = 0
    answers: list[float] = field(default_factory=list[float])
    """Seconds from the key to the answer, of those that came before the next key."""
    shown: int = 0
    """Answers with something to show."""
    prompt_tokens: int = 0
    computed_prompt_tokens: int = 0
    wasted: int = 0
    """Tokens computed in calls whose answer came too late for everybody."""
    after_cancel: int = 0

    def add(self, other: Played) -> None:
        """Take in another session."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class _Request:
    """What one request to the engine cost. A server sends the usage after the answer."""

    calls: list[CallUsage]
    prompt: int
    cached: int = 0

    @property
    def computed(self) -> int:
        """Tokens of the prompt that were computed, also if it was cancelled before the first token."""
        return min(sum(usage.tokens_computed for usage in self.calls), self.prompt - self.cached)


class Client:
    """Something that is asked after each key. `ask` may be called before the last answer is there."""

    def __init__(self) -> None:
        self.played = Played()
        self._requests: list[_Request] = []
        self._unused: list[CallUsage] = []
        """Calls whose answer came too late for everybody."""

    def opened(self, snapshot: Snapshot) -> None:
        """A document was opened."""

    async def ask(self, snapshot: Snapshot, offset: int, began: float) -> None:
        """Complete at the cursor, or notice that there is a newer question."""
        raise NotImplementedError

    def finish(self) -> Played:
        """The figures, once the engine rests."""
        played = self.played
        played.prompt_tokens = sum(each.prompt for each in self._requests)
        played.computed_prompt_tokens = sum(each.computed for each in self._requests)
        played.wasted = sum(usage.tokens_computed for usage in self._unused)
        played.after_cancel = sum(usage.tokens_after_cancel for usage in self._unused)
        return played


class Product(Client):
    """Our server, from the orchestrator on."""

    def __init__(self, backend: Backend, settings: Settings, name: str) -> None:
        super().__init__()
        self._orchestrator = backend.orchestrator
        self._settings = settings
        self._name = name
        self._open: list[CallUsage] = []
        """Calls whose answer was not used so far; a later key may still read it."""

    async def ask(self, snapshot: Snapshot, offset: int, began: float) -> None:
        """Request as an editor does while a user types."""
        self._orchestrator.typing(self._name)
        request = CompletionRequest(snapshot, offset)
        found = await self._orchestrator.complete(self._name, request, self._settings)
        record = list(self._orchestrator.log)[-1]  # nothing has run since it was added
        played = self.played
        if record.source is Source.MODEL:
            self._give_up_open()
            self._requests.append(_Request(record.calls, record.prompt_tokens))
        else:
            played.without_call += 1
        if record.cached_tokens:
            # Of the last request, whose first token may have come only when a later key read the answer.
            self._requests[-1].cached += record.cached_tokens
        if record.outcome in (Outcome.ANSWERED, Outcome.EMPTY):
            played.answers.append(time.monotonic() - began)
            played.shown += bool(found)
            self._open.clear()
        else:
            self._open += record.calls

    def finish(self) -> Played:
        """See `Client.finish`."""
        self._give_up_open()
        return super().finish()

    def _give_up_open(self) -> None:
        self._unused += self._open
        self._open.clear()


class Plain(Client):
    """One request for each key, in the textbook's order, with as much as fits around the cursor.

    A newer request cancels the older one.
    """

    def __init__(self, backend: Backend, tokenizer: Tokenizer, family: FimFamily, budget: int, name: str) -> None:
        super().__init__()
        self._engine = backend.host.engine
        self._tokenizer = tokenizer
        self._family = family
        self._budget = budget
        self._name = name
        self._scope = anyio.CancelScope()
        stops = (tokenizer.token_id(token) for token in family.control)
        self._stop = tuple(token for token in stops if token is not None)

    async def ask(self, snapshot: Snapshot, offset: int, began: float) -> None:
        """Cancel the last request and send another."""
        self._scope.cancel()
        self._scope = scope = anyio.CancelScope()
        prompt = tuple(sliding_windows(self._tokenizer, self._family, snapshot.text, offset, self._budget))
        slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, began, began + DEADLINE, self._name)
        text = ""
        with scope:
            async with self._engine.submit(Call(prompt, slo, PLAIN_ANSWER, self._stop)) as stream:
                request = _Request([stream.usage], len(prompt))
                self._requests.append(request)
                async for delta in stream:
                    text += delta.text
                    request.cached = request.cached or delta.cached_prompt_tokens
                self.played.answers.append(time.monotonic() - began)
                self.played.shown += bool(text.strip())
                return
        self._unused.append(stream.usage)


async def play(recording: Recording, first: int, count: int, client: Client, resting: Callable[[], bool]) -> Played:
    """Type keys ``first`` to ``first + count`` of a recording; the text before them is there already."""
    uri = f"file:///typing/{recording.name}"
    states = list(islice(recording.states(), first, first + count + 1))
    live: set[int] = set()

    async def ask(number: int, key: Key, text: str) -> None:
        live.add(number)
        snapshot = Snapshot(uri, recording.language, first + number, text)
        await client.ask(snapshot, key.cursor, time.monotonic())
        live.discard(number)

    async with anyio.create_task_group() as group:
        for number, ((key, text), (following, _)) in enumerate(pairwise(states)):
            if key.kind is not Kind.MOVE:
                client.played.keys += 1
                group.start_soon(ask, number, key, text)
            due = time.monotonic() + (following.time - key.time) / 1000
            await _until(lambda: not live and resting(), due)
    await _until(resting, math.inf)
    return client.finish()


async def _until(done: Callable[[], bool], due: float) -> None:
    await anyio.sleep(_MOMENT)
    while time.monotonic() < due and not done():  # noqa: ASYNC110  the engine's counters send no event
        await anyio.sleep(_MOMENT)
