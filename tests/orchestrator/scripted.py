"""An engine in virtual time, for what cannot be seen on a real one: what was asked when, and how long it took."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace, TracebackType
from typing import Any, Self, cast

import anyio.lowlevel

from cato_lsp.engine.api import Call, CallUsage, Delta, EngineError, EngineStats
from cato_lsp.engine.host import EngineHost, EnginePhase
from cato_lsp.orchestrator.prompt_source import PromptSource
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.tasks.completion import CompletionPrompter
from cato_lsp.tasks.prompts import Prompter


class Clock:
    """Moves when the engine works."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class ScriptedEngine:
    """Answers every call with the words of ``answer(call)``, one token each; calls share the machine."""

    def __init__(self, clock: Clock, answer: Callable[[Call], str], seconds_per_token: float = 0.1) -> None:
        self.clock = clock
        self.answer = answer
        self.seconds = seconds_per_token
        self.calls: list[Call] = []
        self.started: list[float] = []
        self.running = 0
        self.widest = 0
        self.fail_at: int | None = None
        self.costs = StepCosts(fixed=seconds_per_token, recent_step=seconds_per_token)

    def submit(self, call: Call) -> ScriptedStream:
        self.calls.append(call)
        self.started.append(self.clock.now)
        return ScriptedStream(self, call, len(self.calls) - 1)

    def hint(self, client: str, until: float) -> None: ...

    def stats(self) -> EngineStats:
        return EngineStats()

    def cost(self) -> StepCosts:
        return self.costs


class ScriptedStream:
    def __init__(self, engine: ScriptedEngine, call: Call, number: int) -> None:
        self.usage = CallUsage()
        self._engine = engine
        self._call = call
        self._number = number
        engine.running += 1
        engine.widest = max(engine.widest, engine.running)

    def cancel(self) -> None: ...

    async def __aiter__(self) -> AsyncIterator[Delta]:
        if self._number == self._engine.fail_at:
            await anyio.lowlevel.checkpoint()
            raise EngineError("The engine died.")
        tokens = self._engine.answer(self._call).split(" ")[: self._call.max_tokens]
        for number, token in enumerate(tokens):
            await anyio.lowlevel.checkpoint()
            self._engine.clock.now += self._engine.seconds
            last = number == len(tokens) - 1
            yield Delta(token if number == 0 else f" {token}", 1, "stop" if last else None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.running -= 1


def prompt_source(engine: ScriptedEngine, prompter: CompletionPrompter) -> PromptSource:
    """A `PromptSource` for ``engine`` whose prompts ``prompter`` builds."""
    return PromptSource(*host_of(engine, prompter))


def host_of(engine: ScriptedEngine, prompter: CompletionPrompter | Prompter) -> tuple[EngineHost, Prompters]:
    """A host that runs ``engine``, with ``prompter`` as its model's prompt builder."""
    engine.folder = engine.context_length = None  # type: ignore[attr-defined]

    async def load(*_: Any) -> CompletionPrompter | Prompter:
        return prompter

    status = SimpleNamespace(phase=EnginePhase.READY)
    host, prompters = SimpleNamespace(engine=engine, status=status), SimpleNamespace(completion=load, coding=load)
    return cast("EngineHost", host), cast("Prompters", prompters)
