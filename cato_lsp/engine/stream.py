"""The event loop's side of a call: receives deltas from the engine's thread."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

import anyio

from cato_lsp.engine.api import Call, CallUsage, Delta, EngineError


class ThreadCallStream:
    """A `CallStream` fed by the engine's thread through the event loop.

    The fields without an underscore are the thread's; it only ever reads ``cancelled``.
    """

    def __init__(self, call_id: str, call: Call, on_cancel: Callable[[ThreadCallStream], None]) -> None:
        self.call_id = call_id
        self.call = call
        self.cancelled = False
        self.usage = CallUsage()
        self.steps_at_cancel = 0
        self.turn_at_cancel = sys.maxsize
        self._on_cancel = on_cancel
        self._finished = False
        self._error: EngineError | None = None
        self._send, self._receive = anyio.create_memory_object_stream[Delta](math.inf)

    def push(self, item: Delta | EngineError) -> None:
        """Add a delta, or the error that ends the call. Called on the event loop."""
        if self.cancelled or self._finished:
            return
        if isinstance(item, EngineError):
            self._error = item
        else:
            self._send.send_nowait(item)
        if isinstance(item, EngineError) or item.finish_reason is not None:
            self._finished = True
            self._send.close()

    def cancel(self) -> None:
        """Abort the call in the engine before its next step. Idempotent; no delta follows."""
        if not self.cancelled and not self._finished:
            self.cancelled = True
            self._send.close()
            self._on_cancel(self)

    async def __aiter__(self) -> AsyncIterator[Delta]:
        async for delta in self._receive:
            yield delta
        if self._error is not None:
            raise self._error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
        self._receive.close()
