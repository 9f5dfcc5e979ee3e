"""Statistics of the last minute, for `cato-lsp top` and the web page."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from cato_lsp.gateway.deadlines import Outcome
from cato_lsp.scheduling.slo import TaskKind

WINDOW = 60.0
"""Seconds."""
MOST = 100_000
"""Maximum number of calls that are stored."""


class Recent:
    """Ended calls of the last minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ended: deque[tuple[float, str, TaskKind, Outcome, int]] = deque(maxlen=MOST)

    def add(self, user: str, kind: TaskKind, outcome: Outcome, tokens: int) -> None:
        """Store a call that has ended."""
        now = self._clock()
        self._ended.append((now, user, kind, outcome, tokens))
        self._forget(now)

    def summary(self) -> dict[str, Any]:
        """Return ``{kinds: {kind: {outcome: calls}}, users: {name: {calls, tokens}}}``."""
        self._forget(self._clock())
        kinds: dict[str, Counter[str]] = {}
        users: dict[str, Counter[str]] = {}
        groups = {"kinds": kinds, "users": users}
        for _, user, kind, outcome, tokens in self._ended:
            kinds.setdefault(kind.value, Counter())[outcome.value] += 1
            users.setdefault(user, Counter()).update(calls=1, tokens=tokens)
        return {name: {each: dict(counts) for each, counts in group.items()} for name, group in groups.items()}

    def _forget(self, now: float) -> None:
        while self._ended and self._ended[0][0] < now - WINDOW:
            self._ended.popleft()
