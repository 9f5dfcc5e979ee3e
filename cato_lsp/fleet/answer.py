"""The answer to a call: from one replica, or from the first of two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import anyio.abc

from cato_lsp.engine.api import Call, CallRejectedError, Delta, Engine, EngineError
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.fleet.books import ReplicaBook
from cato_lsp.remote.messages import CallDelta
from cato_lsp.remote.open_call import OpenCall


@dataclass(slots=True, eq=False)
class RoutedReplica:
    """A replica that calls are sent to."""

    engine: Engine
    book: ReplicaBook
    forces_prefixes: bool
    """Whether it holds answers to a `ForcedPrefix`."""


class Answer:
    """Delivers the answer to one call. Of two copies, the one that delivers first goes on, and the other is cancelled.

    :param clock: returns the time, in seconds.
    :param on_lost: is called with each replica that fails, and the error.
    """

    def __init__(
        self,
        stream: ThreadCallStream,
        clock: Callable[[], float],
        on_lost: Callable[[RoutedReplica, EngineError], None],
    ) -> None:
        self._open = OpenCall(stream)
        self._clock = clock
        self._on_lost = on_lost
        self._group: anyio.abc.TaskGroup
        self._copies: dict[str, anyio.CancelScope] = {}
        """By the name of the replica."""
        self._forced = False
        """Whether the delivered tokens include the forced prefix."""
        self._error: EngineError | None = None

    async def serve_on(self, replica: RoutedReplica, call: Call) -> None:
        """Deliver the answer from a replica, and from a second one if `hedge` is called meanwhile.

        Raises:
            EngineError: the last copy has failed; what is left may go on elsewhere, unless the call was rejected.
        """
        self._error = None
        async with anyio.create_task_group() as self._group:
            self._start(replica, call)
        if self._error is not None:
            raise self._error

    def hedge(self, replica: RoutedReplica, rest: Call) -> None:
        """Send what is left of the call to a second replica."""
        self._start(replica, rest)

    @property
    def can_be_hedged(self) -> bool:
        """Whether there is one copy. It alone knows the bytes of a character that it has not finished."""
        return len(self._copies) == 1 and not self._open.pending

    def rest(self) -> Call | None:
        """Return a call for the rest of the answer; ``None`` if it would be too late to be useful."""
        return self._open.rest(self._clock(), forced=self._forced)

    def _start(self, replica: RoutedReplica, call: Call) -> None:
        scope = self._copies[replica.book.name] = anyio.CancelScope()
        self._group.start_soon(self._copy, replica, call, scope)

    async def _copy(self, replica: RoutedReplica, call: Call, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                await self._deliver(replica, call, scope)
        except CallRejectedError as error:
            self._go_on_alone(scope)
            self._error = error
        except EngineError as error:
            self._on_lost(replica, error)
            if not self._others(scope):
                self._error = error
        finally:
            del self._copies[replica.book.name]

    async def _deliver(self, replica: RoutedReplica, call: Call, scope: anyio.CancelScope) -> None:
        book, stream, finished = replica.book, self._open.stream, False
        inner = replica.engine.submit(call)
        if len(self._copies) == 1:
            # Shared, as the usage of a cancelled call comes later. What a lost replica had computed, nobody knows.
            stream.usage = inner.usage
        try:
            async with inner:
                async for delta in inner:
                    if scope.cancel_called:
                        return
                    if self._others(scope):
                        self._go_on_alone(scope)
                        stream.usage = inner.usage
                    if not self._open.shown:
                        self._forced = replica.forces_prefixes
                    book.heard(stream.call_id, delta.tokens, self._clock(), replica.engine.cost())
                    finished = delta.finish_reason is not None
                    self._open.add(_as_message(delta))
                    stream.push(delta)
        finally:
            book.ended(stream.call_id, self._clock(), finished=finished)

    def _others(self, own: anyio.CancelScope) -> list[anyio.CancelScope]:
        """The other copies, but for those that are being cancelled."""
        return [scope for scope in self._copies.values() if scope is not own and not scope.cancel_called]

    def _go_on_alone(self, own: anyio.CancelScope) -> None:
        for scope in self._others(own):
            scope.cancel()


def _as_message(delta: Delta) -> CallDelta:
    return CallDelta(0, delta.text, list(delta.token_ids), delta.finish_reason)
