"""The one thread that owns vLLM. Commands go in through one queue; deltas come out once a step."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVarTuple

import anyio

from cato_lsp.engine.api import (
    Call,
    CallRejectedError,
    Delta,
    EngineError,
    EngineStats,
    EngineUnavailableError,
)
from cato_lsp.engine.launch import Launch, prepare_environment, vllm_distribution
from cato_lsp.engine.lean_import import import_vllm
from cato_lsp.engine.model_folder import ModelFolder, inspect_model_folder
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.supervise import traceback_of

if TYPE_CHECKING:
    from cato_lsp.engine.scheduler import StepTokens
    from cato_lsp.engine.vllm_core import VllmCore

logger = logging.getLogger(__name__)

_Args = TypeVarTuple("_Args")

SWITCH_INTERVAL = 0.001
"""Seconds for which the engine's Python code may keep the interpreter from the event loop (default 5 ms)."""

REMEMBERED_ABORTS = 256
_LONGEST_CAUSE = 200
"""Characters of an error's cause that the user is shown."""


@dataclass(frozen=True, slots=True)
class _Submit:
    stream: ThreadCallStream


@dataclass(frozen=True, slots=True)
class _Cancel:
    stream: ThreadCallStream


@dataclass(frozen=True, slots=True)
class _Hint:
    client: str
    until: float


class _Stop:
    pass


_Command = _Submit | _Cancel | _Hint | _Stop


class EngineThread:
    """An `Engine` that runs vLLM on its own thread.

    Create and use it on the event loop: `start` loads the model, `wait_closed` reports how it ended, `stop` ends it.
    A thread that is loading cannot be interrupted; it is a daemon, so it never outlives the process.
    """

    def __init__(self, launch: Launch, on_stage: Callable[[str], None] = lambda _stage: None) -> None:
        self._launch = launch
        self.folder: ModelFolder
        """The loaded model; set by `start`."""
        self._on_stage = on_stage
        self._loop = asyncio.get_running_loop()
        self._inbox: SimpleQueue[_Command] = SimpleQueue()
        self._streams: dict[str, ThreadCallStream] = {}
        self._aborted: dict[str, ThreadCallStream] = {}
        """The last aborted calls, so that tokens are counted if vLLM computes them all the same."""
        self._numbers = itertools.count(1)
        self._ready = anyio.Event()
        self._closed = anyio.Event()
        self._error: EngineError | None = None
        self._steps = 0
        self._turn = 0
        """Rounds of taking commands and running a step, so far."""
        self._tokens_wasted = 0
        self._stats = EngineStats()
        self._cost = StepCosts()
        self.context_length = 0
        """Most tokens of prompt and answer of one call together; set by `start`."""
        self.slots = 0
        """Most calls that run at the same time; set by `start`."""
        self.kv_tokens = 0
        """Tokens that the KV cache holds; set by `start`."""
        self.forces_prefixes = False
        """Whether it holds answers to a `ForcedPrefix`; known once started."""
        self._thread = threading.Thread(target=self._run, name="cato-engine", daemon=True)

    # The event loop's side.

    async def start(self) -> None:
        """Load the model. Returns when calls can be served.

        Raises:
            EngineError: the model or vLLM could not be started.
        """
        self._thread.start()
        await self._ready.wait()
        if self._error is not None:
            raise self._error

    async def wait_closed(self) -> EngineError | None:
        """Wait for the end of the thread. Returns the error that ended it, ``None`` after `stop`."""
        await self._closed.wait()
        return self._error

    def stop(self) -> None:
        """End the thread after the running step. Open calls fail."""
        self._inbox.put(_Stop())

    def submit(self, call: Call) -> ThreadCallStream:
        """Queue ``call`` and return its stream at once."""
        stream = ThreadCallStream(f"{next(self._numbers)}", call, self._cancel)
        if self._closed.is_set():
            stream.push(self._error or EngineUnavailableError("The engine has stopped."))
        else:
            self._inbox.put(_Submit(stream))
        return stream

    def hint(self, client: str, until: float) -> None:
        """Say that ``client`` is typing."""
        self._inbox.put(_Hint(client, until))

    def stats(self) -> EngineStats:
        """Return the counters as of the last step."""
        return self._stats

    def cost(self) -> StepCosts:
        """Return the learned cost of a step, as of the last step."""
        return self._cost

    def _cancel(self, stream: ThreadCallStream) -> None:
        stream.steps_at_cancel = self._steps
        self._inbox.put(_Cancel(stream))
        # Set after the command is queued: a turn that begins later sees the cancel.
        stream.turn_at_cancel = self._turn

    def _finish(self) -> None:
        """Fail the open calls. The thread has ended, so its fields belong to the event loop."""
        error = self._error or EngineUnavailableError("The engine has stopped.")
        streams = list(self._streams.values())
        while (command := self._next_command()) is not None:
            if isinstance(command, _Submit):
                streams.append(command.stream)
        self._ready.set()
        self._closed.set()
        _push_all([(stream, error) for stream in streams])

    # The engine thread's side.

    def _run(self) -> None:
        core: VllmCore | None = None
        try:
            core = self._load()
            self.context_length = core.context_length
            self.slots, self.kv_tokens = core.slots, core.kv_tokens
            self.forces_prefixes = core.forces_prefixes
            self._cost = core.cost()
            self._post(self._ready.set)
            self._serve(core)
        except EngineError as error:
            self._error = error
        except BaseException as error:  # vLLM may raise anything, SystemExit too; the process must live on
            logger.exception("The engine failed")
            self._error = EngineUnavailableError(
                f"The engine failed: {cause_of(error)}",
                "It restarts by itself; details are in the log.",
            )
        finally:
            self._close(core)
            self._post(self._finish)

    def _close(self, core: VllmCore | None) -> None:
        """Free the core. After a GPU fault this may fail too; the thread ends all the same."""
        try:
            if core is not None:
                core.close()
        except BaseException:
            logger.exception("The engine could not be closed")

    def _load(self) -> VllmCore:
        folder = self.folder = inspect_model_folder(self._launch.model)
        if vllm_distribution() is None:
            raise EngineUnavailableError(
                "vLLM is not installed.",
                "Run `cato-lsp setup`, which installs the engine that fits this machine.",
            )
        prepare_environment(self._launch)
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._post(self._on_stage, "Loading vLLM")
        try:
            if os.environ.get("TORCHDYNAMO_DISABLE") == "1":
                import_vllm()
            from cato_lsp.engine.vllm_core import VllmCore
            from cato_lsp.scheduling.cato import CatoPolicy

            policy = CatoPolicy()
            self._post(self._on_stage, f"Loading {self._launch.model_name}")
            return VllmCore(self._launch, folder, policy, self._count)
        except Exception as error:
            logger.exception("The engine could not start")
            raise EngineUnavailableError(
                f"vLLM could not start {self._launch.model_name}: {cause_of(error)}",
                "Run `cato-lsp doctor`, or choose another model in the settings.",
            ) from error

    def _serve(self, core: VllmCore) -> None:
        self._turn += 1
        while self._take_commands(core):
            deltas = core.step() if core.busy else []
            self._stats = replace(core.stats(), tokens_wasted=self._tokens_wasted)
            self._cost = core.cost()
            self._deliver(deltas)
            self._turn += 1

    def _take_commands(self, core: VllmCore) -> bool:
        """Execute the queued commands; waits for one if there is no work. Returns ``False`` for stop."""
        command = self._inbox.get() if not core.busy else self._next_command()
        while command is not None:
            match command:
                case _Submit(stream):
                    self._add(core, stream)
                case _Cancel(stream):
                    self._abort(core, stream)
                case _Hint(client, until):
                    core.hint(client, until)
                case _Stop():
                    return False
            command = self._next_command()
        return True

    def _next_command(self) -> _Command | None:
        try:
            return self._inbox.get_nowait()
        except Empty:
            return None

    def _add(self, core: VllmCore, stream: ThreadCallStream) -> None:
        if stream.cancelled:
            return
        try:
            core.add(stream.call_id, stream.call)
        except CallRejectedError as error:
            self._post(stream.push, error)
        except Exception as error:  # an error in one call must not end the engine
            logger.error("The engine could not add a call\n%s", traceback_of(error))
            core.abort([stream.call_id])
            self._post(stream.push, _cannot_add(error))
        else:
            stream.usage.added = time.monotonic()
            self._streams[stream.call_id] = stream

    def _abort(self, core: VllmCore, stream: ThreadCallStream) -> None:
        if self._streams.pop(stream.call_id, None) is not None:
            self._aborted[stream.call_id] = stream
            if len(self._aborted) > REMEMBERED_ABORTS:
                del self._aborted[next(iter(self._aborted))]
            core.abort([stream.call_id])
        stream.usage.abort_latency_steps = self._steps - stream.steps_at_cancel

    def _count(self, step: StepTokens) -> None:
        """Count the tokens of a step for each call. vLLM's internal id is ours plus a random suffix."""
        self._steps += 1
        for internal_id, tokens in step.items():
            call_id = internal_id.partition("-")[0]
            stream = self._streams.get(call_id) or self._aborted.get(call_id)
            if stream is not None:
                stream.usage.tokens_computed += tokens
                if stream.turn_at_cancel < self._turn:
                    stream.usage.tokens_after_cancel += tokens
                    self._tokens_wasted += tokens

    def _deliver(self, deltas: list[tuple[str, Delta]]) -> None:
        batch: list[tuple[ThreadCallStream, Delta]] = []
        for call_id, delta in deltas:
            stream = self._streams.get(call_id)
            if stream is not None:
                batch.append((stream, delta))
                if delta.finish_reason is not None:
                    del self._streams[call_id]
        if batch:
            self._post(_push_all, batch)

    def _post(self, function: Callable[[*_Args], object], *args: *_Args) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            logger.debug("The event loop has ended before the engine")


def _cannot_add(error: Exception) -> CallRejectedError:
    return CallRejectedError(f"The engine could not add the call: {type(error).__name__}.", "Details are in the log.")


def cause_of(error: BaseException) -> str:
    """One line for the user: the error's type and the first line of its message. The log has the rest."""
    first = str(error).strip().partition("\n")[0].strip()
    shown = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return shown if len(shown) <= _LONGEST_CAUSE else f"{shown[: _LONGEST_CAUSE - 3]}..."


def _push_all(batch: Sequence[tuple[ThreadCallStream, Delta | EngineError]]) -> None:
    for stream, item in batch:
        try:
            stream.push(item)
        except Exception as error:  # a broken stream must not block the others
            logger.error("A stream could not be fed\n%s", traceback_of(error))
