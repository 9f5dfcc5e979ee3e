"""`RemoteEngine`: an engine on a team's server, with the same interface as a local one."""

from __future__ import annotations

import itertools
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import anyio
import anyio.to_thread

from cato_lsp.engine.api import (
    Call,
    CallRejectedError,
    Delta,
    EngineError,
    EngineStats,
    EngineUnavailableError,
)
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.model_folder import ModelFolder, inspect_tokenizer_folder
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.remote.calls import Levels, to_wire
from cato_lsp.remote.key import find_key
from cato_lsp.remote.link import Link, LinkLostError
from cato_lsp.remote.messages import (
    FORCED_PREFIX,
    PING_EVERY,
    SPELLINGS_KEPT,
    CallDelta,
    CallFailed,
    Cancel,
    Draining,
    FromServer,
    Hint,
    Pong,
    Spellings,
    Usage,
)
from cato_lsp.remote.model_files import FileCache, check_names
from cato_lsp.remote.open_call import OpenCall
from cato_lsp.remote.refusals import address, check_url
from cato_lsp.scheduling.cost import StepCosts

logger = logging.getLogger(__name__)

COST_FIELDS = tuple(field.name for field in fields(StepCosts))

AWAY = 3.0
"""Seconds without a connection after which the server counts as away."""
FIRST_RETRY = 0.1
"""Seconds before the second attempt to reconnect; doubled with each attempt, with jitter."""
FIRST_PINGS = 3
"""Number of round trips measured at the start of a connection."""
REMEMBERED = 256
"""Number of ended calls that are stored because their usage may still arrive."""


@dataclass(frozen=True, slots=True)
class RemoteLaunch:
    """Specifies a server to use instead of a local engine."""

    url: str
    """``wss://HOST:PORT``."""
    fallback: Launch | None = None
    """The local engine to use while the server cannot be reached."""
    cache: Path | None = None
    """Folder for downloaded tokenizers; default: the user's cache folder."""

    @property
    def name(self) -> str:
        """The server's name in status messages."""
        return address(self.url) or "the server"

    def connect(self, on_stage: Callable[[str], None]) -> RemoteEngine:
        """Create the engine object. `RemoteEngine.start` connects it."""
        return RemoteEngine(self, on_stage)


class RemoteEngine:
    """A `RunningEngine` on a server.

    `start` connects. `wait_closed` maintains the connection and reconnects if it breaks. It gives up if the server
    cannot be reached for `AWAY` seconds, or refuses the connection. Use it on the event loop only.
    """

    def __init__(self, launch: RemoteLaunch, on_stage: Callable[[str], None] = lambda _stage: None) -> None:
        self._launch = launch
        self._on_stage = on_stage
        self.folder: ModelFolder
        """The folder with the tokenizer; set by `start`."""
        self.context_length = 0
        self._key: str | None = None
        self._tokenizer = ""
        self._link: Link | None = None
        self._forces_prefixes = False
        self._numbers = itertools.count(1)
        self._open: dict[int, OpenCall] = {}
        self._ended: dict[int, ThreadCallStream] = {}
        self._spellings: dict[int, tuple[int, Levels]] = {}
        """The connection's slots of spellings, by the `id` of the object; oldest first."""
        self._stats = EngineStats()
        self._cost = StepCosts()
        self._draining = False
        self._stopped = anyio.Event()
        self._error: EngineError | None = None
        self.resubmitted = 0
        """Calls that were submitted again on another connection."""

    async def start(self) -> None:
        """Connect, and download the tokenizer if it is not cached.

        Raises:
            EngineError: the server cannot be used; the message says why.
        """
        self._on_stage(f"Connecting to {self._launch.name}")
        check_url(self._launch.url)
        self._key = await anyio.to_thread.run_sync(find_key, self._launch.url)
        link = await Link.open(self._launch.url, self._key)
        try:
            self.folder = await self._load_files(link)
        except BaseException:
            link.abort()
            raise
        self._use(link)
        self._tokenizer = link.welcome.tokenizer

    async def wait_closed(self) -> EngineError | None:
        """Serve calls until `stop`, then return ``None``; or until the server is lost, then return the error."""
        if self._stopped.is_set():
            return self._error
        try:
            async with anyio.create_task_group() as group:

                async def serve() -> None:
                    self._error = await self._serve()
                    group.cancel_scope.cancel()

                group.start_soon(serve)
                await self._stopped.wait()
                if self._link is not None:
                    with anyio.move_on_after(0.2):
                        await self._link.close()
                group.cancel_scope.cancel()
        finally:
            self.stop()
        return self._error

    def stop(self) -> None:
        """Close the connection. The server aborts the open calls, and their streams fail. Idempotent."""
        self._stopped.set()
        error = self._error or EngineUnavailableError(f"The connection to {self._launch.name} was closed.")
        if self._link is not None:
            self._link.abort()
            self._link = None
        for call in list(self._open.values()):
            call.stream.push(error)
        self._open.clear()

    def submit(self, call: Call) -> ThreadCallStream:
        """Send ``call`` and return its stream at once."""
        number = next(self._numbers)
        stream = ThreadCallStream(str(number), call, self._cancel)
        if self._stopped.is_set() or self._draining:
            why = "is stopping" if self._draining else "is not connected"
            stream.push(self._error or EngineUnavailableError(f"{self._launch.name} {why}."))
            return stream
        self._open[number] = OpenCall(stream)
        self._send(number, call)
        return stream

    def hint(self, client: str, until: float) -> None:  # noqa: ARG002
        """Report that the user is typing. The server identifies the user by the key."""
        left = until - time.monotonic()
        if self._link is not None and left > 0:
            self._link.send(Hint(1000 * left))

    def stats(self) -> EngineStats:
        """Return the server's counters as of the last ping."""
        return self._stats

    def cost(self) -> StepCosts:
        """Return the server's learned cost of a step as of the last ping."""
        return self._cost

    @property
    def round_trip(self) -> float:
        """The shortest round trip of this connection in seconds; infinite if none was measured."""
        return self._link.round_trip if self._link is not None else math.inf

    async def _load_files(self, link: Link) -> ModelFolder:
        welcome = link.welcome
        check_names(welcome.files)
        cache = FileCache(self._launch.cache)
        found = await anyio.to_thread.run_sync(cache.find, welcome.model, welcome.files)
        if found is None:
            self._on_stage(f"Fetching the tokenizer of {welcome.model}")
            contents = await link.fetch(welcome.files)
            found = await anyio.to_thread.run_sync(cache.store, welcome.model, welcome.files, contents)
        return inspect_tokenizer_folder(found)

    def _use(self, link: Link) -> None:
        """Use ``link`` for calls."""
        self._link = link
        self._spellings.clear()
        self.context_length = link.welcome.context_length
        self._forces_prefixes = FORCED_PREFIX in link.welcome.features

    async def _serve(self) -> EngineError:
        """Maintain a connection; return the error when that is no longer possible."""
        while True:
            assert self._link is not None
            why = await self._converse(self._link)
            self._link.abort()
            self._link = None
            self._draining = False
            if not isinstance(why, EngineUnavailableError):
                return why
            logger.warning("%s", why)
            refused = await self._reconnect(why)
            if refused is not None:
                return refused

    async def _converse(self, link: Link) -> EngineError:
        """Read, write and ping until the connection ends; return the cause."""
        why: EngineError | None = None

        async def until_lost(work: Callable[[], Awaitable[None]]) -> None:
            nonlocal why
            try:
                await work()
            except LinkLostError as lost:
                why = why or lost.cause
                group.cancel_scope.cancel()

        async def read() -> None:
            async for message in link.read():
                self._take(link, message)

        async with anyio.create_task_group() as group:
            group.start_soon(until_lost, read)
            group.start_soon(until_lost, link.write)
            group.start_soon(self._ping, link)
        assert why is not None
        return why

    async def _ping(self, link: Link) -> None:
        for _ in range(FIRST_PINGS):
            link.ping()
            await anyio.sleep(0.05)
        while True:
            link.ping()
            await anyio.sleep(PING_EVERY)

    async def _reconnect(self, why: EngineError) -> EngineError | None:
        """Connect again and resubmit open calls; return the error if that takes too long or is refused."""
        given_up = time.monotonic() + AWAY
        back_off = FIRST_RETRY
        while True:
            try:
                link = await Link.open(self._launch.url, self._key, self._tokenizer)
            except EngineUnavailableError as error:
                if time.monotonic() > given_up:
                    return error
            except EngineError as error:
                return error
            else:
                self._use(link)
                self._resubmit(why)
                return None
            # With jitter, so that not all laptops connect to a restarted server at the same time.
            await anyio.sleep(back_off * random.uniform(0.5, 1.5))
            back_off = min(2 * back_off, 1.0)

    def _resubmit(self, why: EngineError) -> None:
        now = time.monotonic()
        for number, call in list(self._open.items()):
            rest = call.rest(now, forced=self._forces_prefixes)
            if rest is None:
                del self._open[number]
                call.stream.push(why)
            else:
                self.resubmitted += 1
                self._send(number, rest)

    def _send(self, number: int, call: Call) -> None:
        if self._link is None:
            return  # it is submitted once there is a connection
        slot = self._slot(call) if call.forced_prefix is not None and self._forces_prefixes else None
        self._link.send(to_wire(number, call, time.monotonic(), slot))

    def _slot(self, call: Call) -> int:
        """The slot with the call's spellings on the server. Sends them if necessary."""
        assert call.forced_prefix is not None
        assert self._link is not None
        spellings = call.forced_prefix.spellings
        known = self._spellings.get(id(spellings))
        if known is not None:
            return known[0]
        slot = len(self._spellings)
        if slot == SPELLINGS_KEPT:
            slot, _oldest = self._spellings.pop(next(iter(self._spellings)))
        self._spellings[id(spellings)] = slot, spellings
        self._link.send(Spellings(slot, [dict(level) for level in spellings]))
        return slot

    def _cancel(self, stream: ThreadCallStream) -> None:
        number = int(stream.call_id)
        if self._open.pop(number, None) is not None:
            self._remember(number, stream)
            if self._link is not None:
                self._link.send(Cancel(number))

    def _remember(self, number: int, stream: ThreadCallStream) -> None:
        self._ended[number] = stream
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def _take(self, link: Link, message: FromServer) -> None:
        match message:
            case CallDelta():
                self._deliver(message)
            case CallFailed(number):
                if (call := self._open.pop(number, None)) is not None:
                    kind = CallRejectedError if message.rejected else EngineUnavailableError
                    call.stream.push(kind(message.message, message.remedy))
            case Usage(number):
                if (stream := self._ended.pop(number, None)) is not None:
                    _note_usage(stream, message, link.round_trip)
            case Pong():
                link.ponged(message.sent)
                self._stats = EngineStats(
                    message.steps,
                    message.tokens_computed,
                    message.tokens_wasted,
                    message.calls_running,
                    message.calls_waiting,
                    message.kv_cache_usage,
                )
                self._learn(message.cost)
            case Draining():
                self._draining = True
            case _:
                logger.debug("An unexpected %s", type(message).__name__)

    def _learn(self, cost: Mapping[str, float]) -> None:
        known = {name: cost[name] for name in COST_FIELDS if name in cost}
        if known:
            self._cost = replace(self._cost, **known)

    def _deliver(self, message: CallDelta) -> None:
        self._learn(message.cost)
        call = self._open.get(message.id)
        if call is None:
            return
        call.add(message)
        ended = message.finish is not None
        if ended:
            del self._open[message.id]
            self._remember(message.id, call.stream)
        call.stream.push(
            Delta(
                message.text,
                len(message.ids),
                message.finish,
                message.cached,
                message.log_probability,
                tuple(message.ids),
            )
        )


def _note_usage(stream: ThreadCallStream, message: Usage, round_trip: float) -> None:
    usage = stream.usage
    usage.tokens_computed = message.tokens_computed
    usage.tokens_after_cancel = message.tokens_after_cancel
    usage.abort_latency_steps = message.abort_latency_steps
    if message.added_ms_ago is not None:
        way = round_trip / 2 if math.isfinite(round_trip) else 0.0
        usage.added = time.monotonic() - message.added_ms_ago / 1000 - way
