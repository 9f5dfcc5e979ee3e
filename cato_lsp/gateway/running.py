"""A running call of a user."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from cato_lsp.engine.api import Call, CallStream, Delta, EngineError, FinishReason
from cato_lsp.gateway.keys import User
from cato_lsp.gateway.limits import Limit, LimitError


class RunningCall:
    """A running call of a user. Leaving its context aborts it if necessary, and counts it in the metrics."""

    def __init__(self, user: User, call: Call, stream: CallStream, ended: Callable[[RunningCall], None]) -> None:
        self.user = user
        self.call = call
        self.stream = stream
        self.first_token: float | None = None
        """Time of the first token, on the monotonic clock."""
        self.tokens = 0
        """Number of answer tokens so far."""
        self.cached = 0
        """Tokens of the prompt that were in the prefix cache."""
        self.finish_reason: FinishReason | None = None
        self.failed = False
        self.limit: Limit | None = None
        """The limit that the call was refused for, after it was queued."""
        self._ended = ended
        self._counted = False

    async def deltas(self) -> AsyncIterator[Delta]:
        """Yield the parts of the answer as they are generated.

        Raises:
            EngineError: the engine cannot serve the call, or died.
        """
        try:
            async for delta in self.stream:
                if self.first_token is None:
                    self.first_token = time.monotonic()
                    self.cached = delta.cached_prompt_tokens
                self.tokens += delta.tokens
                self.finish_reason = delta.finish_reason
                yield delta
        except EngineError as error:
            self.failed = True
            self.limit = error.limit if isinstance(error, LimitError) else None
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stream.__aexit__(kind, error, trace)
        finally:
            self.abort()

    def abort(self) -> None:
        """Abort the call if it is still running, and count it. Idempotent."""
        self.stream.cancel()
        if not self._counted:
            self._counted = True
            self._ended(self)
