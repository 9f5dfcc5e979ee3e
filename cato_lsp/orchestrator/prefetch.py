"""Decides what is computed ahead of requests, while the engine is idle.

- When a document is opened and when typing pauses, its prompt is prefilled, so that the next request finds the prefix
  in the KV cache. Code of other files is gathered at the same time.
- After a completion is shown, the follow-up completion is computed, so that it is there at once when the first one is
  accepted (llama.vim does this, too).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from cato_lsp.config import Settings
from cato_lsp.orchestrator.background import Background, PrefetchJob
from cato_lsp.orchestrator.idle import IdleWatch
from cato_lsp.orchestrator.prompt_source import PromptSource, exclusion_of
from cato_lsp.supervise import supervise
from cato_lsp.tasks.completion import Completion, CompletionRequest
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.typethrough import TypeThroughCache

PAUSE = 2.0
"""Seconds without a request after which typing has paused."""


class Prefetcher:
    """Queues prefetch jobs for all clients.

    :param ready: waits for an engine.
    """

    def __init__(self, prompts: PromptSource, clock: Callable[[], float], ready: Callable[[], Awaitable[None]]) -> None:
        self._prompts = prompts
        self._background = Background(prompts, clock, ready)
        self._idle = IdleWatch(clock, PAUSE, self._paused)
        self._settings: dict[str, Settings] = {}

    async def run(self) -> None:
        """Run the jobs until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(supervise, "The prefetch", self._background.run)
            group.start_soon(supervise, "The idle watch", self._idle.run)

    @property
    def done(self) -> int:
        """Jobs finished."""
        return self._background.done

    def requested(self, client: str, settings: Settings) -> None:
        """A client requested a completion: typing has not paused."""
        self._settings[client] = settings
        self._idle.stir(client)

    def typed(self, client: str) -> None:
        """A key was pressed: queued jobs are out of date."""
        self._background.drop(client)

    def warm_up(self, client: str, snapshot: Snapshot, offset: int, settings: Settings) -> None:
        """Prefill the prompt of a completion at ``offset``, with newly gathered context."""
        if not (settings.completion.enabled and settings.completion.warm_up):
            return
        if exclusion_of(settings).forbids_completion(snapshot.uri, snapshot.language, snapshot.text):
            return
        request = CompletionRequest(snapshot, offset, invoked=True)
        self._background.put(PrefetchJob(client, request, settings))

    def compute_follow_up(
        self,
        client: str,
        request: CompletionRequest,
        completion: Completion,
        settings: Settings,
        cache: TypeThroughCache,
    ) -> None:
        """Compute the completion that follows once ``completion`` is accepted."""
        self._background.put(PrefetchJob(client, completion.follow_up(request), settings, cache))

    def close_client(self, client: str) -> None:
        """Forget a client that has gone."""
        self._background.drop(client)
        self._idle.forget(client)
        self._settings.pop(client, None)

    def _paused(self, client: str) -> None:
        position, settings = self._prompts.position(client), self._settings.get(client)
        if position is not None and settings is not None:
            self.warm_up(client, *position, settings)
