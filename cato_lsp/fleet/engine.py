"""An engine made of several: each call goes to the replica that the router chooses."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence

import anyio
import anyio.abc

from cato_lsp.engine.api import (
    Call,
    CallRejectedError,
    Engine,
    EngineError,
    EngineStats,
    EngineUnavailableError,
)
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.fleet.admission import refuses, shortest_queue
from cato_lsp.fleet.answer import Answer, RoutedReplica
from cato_lsp.fleet.books import Capacity, NewCall, ReplicaBook
from cato_lsp.fleet.hedging import HEDGE_EVERY, in_danger, second_replica
from cato_lsp.fleet.prefixes import block_hashes
from cato_lsp.fleet.router import DeadlineRouter, Router
from cato_lsp.fleet.scaling import Scaler
from cato_lsp.gateway.limits import Limit, LimitError
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.supervise import supervise

logger = logging.getLogger(__name__)

AWAY = 10.0
"""Seconds for which a call waits for a replica at most, if none is up; less if its deadline is earlier."""
MOST_REPLICAS = 4
"""A call that has lost so many replicas may be the cause."""


class FleetEngine:
    """An `Engine` over replicas that come and go. Use it on the event loop, while `run` is running.

    A call whose replica is lost goes on elsewhere, from the prompt and the tokens that were delivered, with what is
    left of its deadline. One whose replica is silent may be sent to a second one (`fleet.hedging`). A new call may be
    refused; see `refuses`.

    :param scaler: is told of every new call.
    """

    def __init__(
        self,
        router: Router | None = None,
        clock: Callable[[], float] = time.monotonic,
        scaler: Scaler | None = None,
    ) -> None:
        self._router = router or DeadlineRouter()
        self._clock = clock
        self._scaler = scaler
        self._replicas: dict[str, RoutedReplica] = {}
        self._changed = anyio.Event()
        self._numbers = itertools.count(1)
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._homes: dict[str, str] = {}
        """Client to the replica of its last call."""
        self._group: anyio.abc.TaskGroup
        self._answers: dict[str, Answer] = {}
        self.hedged = 0
        """Calls that were sent to a second replica because theirs was silent."""
        self.moved = 0
        """Calls that went on elsewhere because their replica was lost."""

    async def run(self) -> None:
        """Serve calls until cancelled."""
        async with anyio.create_task_group() as self._group:
            await supervise("Hedging", self._hedge)

    @property
    def replicas(self) -> tuple[str, ...]:
        """The names of the replicas that are up."""
        return tuple(self._replicas)

    def add(
        self,
        name: str,
        engine: Engine,
        capacity: Capacity,
        *,
        forces_prefixes: bool = False,
        load_seconds: float = 0.0,
    ) -> None:
        """A replica is up.

        :param forces_prefixes: whether it holds answers to a `ForcedPrefix`.
        :param load_seconds: how long it took to start.
        """
        if self._scaler is not None:
            self._scaler.loaded_in(load_seconds)
        self._replicas[name] = RoutedReplica(engine, ReplicaBook(name, capacity, engine.cost()), forces_prefixes)
        self._changed.set()
        self._changed = anyio.Event()

    def remove(self, name: str) -> None:
        """A replica is gone, or takes no more calls. Its open calls end by themselves. Idempotent."""
        if self._replicas.pop(name, None) is not None:
            self._router.removed(name)

    def pong(self, name: str) -> None:
        """A replica has answered a ping."""
        if name in self._replicas:
            self._replicas[name].book.pong()

    def wanted(self) -> int:
        """Return the number of replicas that there should be."""
        if self._scaler is None:
            return len(self._replicas)
        return self._scaler.wanted(self._books(), self._clock())

    def submit(self, call: Call) -> ThreadCallStream:
        """Route ``call`` and return its stream at once."""
        stream = ThreadCallStream(str(next(self._numbers)), call, self._cancel)
        self._scopes[stream.call_id] = anyio.CancelScope()
        self._group.start_soon(self._serve, stream)
        return stream

    def hint(self, client: str, until: float) -> None:
        """Tell the replica of the client's last call that ``client`` is typing."""
        replica = self._replicas.get(self._homes.get(client, ""))
        if replica is not None:
            replica.engine.hint(client, until)

    def stats(self) -> EngineStats:
        """Return the sum of the replicas' counters, and the mean of their KV-cache usage."""
        each = [replica.engine.stats() for replica in self._replicas.values()]
        return EngineStats(
            steps=sum(s.steps for s in each),
            tokens_computed=sum(s.tokens_computed for s in each),
            tokens_wasted=sum(s.tokens_wasted for s in each),
            calls_running=sum(s.calls_running for s in each),
            calls_waiting=sum(s.calls_waiting for s in each),
            kv_cache_usage=sum(s.kv_cache_usage for s in each) / max(1, len(each)),
            step_seconds=sum(s.step_seconds for s in each),
        )

    def cost(self) -> StepCosts:
        """Return the costs of the replica with the least load, where the next call is likely to go."""
        now = self._clock()
        books = self._books()
        return min(books, key=lambda book: book.load(now)).costs if books else StepCosts()

    def _books(self) -> list[ReplicaBook]:
        return [replica.book for replica in self._replicas.values()]

    def _cancel(self, stream: ThreadCallStream) -> None:
        scope = self._scopes.get(stream.call_id)
        if scope is not None:
            scope.cancel()

    async def _serve(self, stream: ThreadCallStream) -> None:
        """Serve a call to its end, on as many replicas as it takes."""
        try:
            with self._scopes[stream.call_id]:
                await self._answer(stream)
        except EngineError as error:
            stream.push(error)
        except Exception:
            logger.exception("A call could not be served")
            stream.push(EngineUnavailableError("The fleet could not serve the call.", "Details are in the log."))
        finally:
            del self._scopes[stream.call_id]

    async def _answer(self, stream: ThreadCallStream) -> None:
        call, call_id = stream.call, stream.call_id
        answer = self._answers[call_id] = Answer(stream, self._clock, self._lose)
        try:
            for tries in itertools.count(1):
                replica = await self._choose(call_id, call, moved=tries > 1)
                try:
                    await answer.serve_on(replica, call)
                except CallRejectedError:
                    raise
                except EngineError as error:
                    rest = answer.rest()
                    if rest is None or tries == MOST_REPLICAS:
                        # Its own text names an address of the private network.
                        text = "The engine that served this call was lost."
                        raise EngineUnavailableError(text, "Try again.") from error
                    call = rest
                    self.moved += 1
                else:
                    return
        finally:
            del self._answers[call_id]

    def _lose(self, replica: RoutedReplica, error: EngineError) -> None:
        logger.warning("Replica %s is lost: %s", replica.book.name, error)
        if self._replicas.get(replica.book.name) is replica:
            self.remove(replica.book.name)

    async def _hedge(self) -> None:
        """Send calls of silent replicas to second ones."""
        while True:
            await anyio.sleep(HEDGE_EVERY)
            now = self._clock()
            for home in self._books():
                for each in list(in_danger(home, now)):
                    self._send_second(each.call.id, home, now)

    def _send_second(self, call_id: str, home: ReplicaBook, now: float) -> None:
        answer = self._answers[call_id]
        rest = answer.rest() if answer.can_be_hedged else None
        if rest is None:
            return
        new = _new_call(call_id, rest)
        book = second_replica(new, home, self._books(), now)
        if book is not None:
            book.sent(new, now)
            self.hedged += 1
            answer.hedge(self._replicas[book.name], rest)

    async def _choose(self, call_id: str, call: Call, *, moved: bool) -> RoutedReplica:
        """Choose a replica and enter the call into its book.

        :param moved: its replica was lost: it is sent on at once, and no news to the scaler.

        Raises:
            EngineUnavailableError: no replica has come.
            LimitError: too much work is ahead of the call.
        """
        new = _new_call(call_id, call)
        await self._any_replica(call)
        now, books = self._clock(), self._books()
        book = self._router.choose(new, books, now)
        if not moved:
            if self._scaler is not None:
                self._scaler.routed(new, book, books, now)
            if refuses(new, book, books, now):
                raise _too_busy(new, books)
        book.sent(new, now)
        self._homes[call.slo.client] = book.name
        return self._replicas[book.name]

    async def _any_replica(self, call: Call) -> None:
        """Wait for a replica if none is up.

        Raises:
            EngineUnavailableError: none has come.
        """
        with anyio.move_on_after(min(AWAY, max(0.0, call.slo.deadline - self._clock()))):
            while not self._replicas:
                await self._changed.wait()
        if not self._replicas:
            raise EngineUnavailableError("No engine of the fleet is running.", "Try again in a moment.")


def _new_call(call_id: str, call: Call) -> NewCall:
    return NewCall(call_id, call.slo, len(call.prompt_ids), block_hashes(call.prompt_ids, call.cache_salt))


def _too_busy(call: NewCall, books: Sequence[ReplicaBook]) -> LimitError:
    ahead = sum(len(book.calls) for book in books)
    allowed = call.slo.deadline - call.slo.arrival
    return LimitError(
        Limit.QUEUE,
        f"The fleet is overloaded: {ahead} calls are ahead, with {shortest_queue(books):.1f} s of prompts on each of "
        f"{len(books)} engines, and the deadline is {allowed:.1f} s.",
        "Try again later.",
    )
