"""Prefetching on the live engine."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from cato_lsp.config import CompletionSettings, Settings
from cato_lsp.engine.api import Call
from cato_lsp.lsp.backend import Backend
from cato_lsp.orchestrator.background import Background, PrefetchJob
from cato_lsp.orchestrator.record import Source
from cato_lsp.tasks.completion import CompletionRequest
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.typethrough import TypeThroughCache
from tests.lsp.wire import fixture_text

pytestmark = pytest.mark.anyio

TEXT = Path(json.__file__).read_text(encoding="utf-8")[:3000]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[PrefetchJob]:
    """The prefetch jobs that end from now on, of all clients: windows of earlier tests may have some."""
    jobs: list[PrefetchJob] = []
    warm_up, complete = Background._warm_up, Background._complete

    async def record_warm_up(background: Background, job: PrefetchJob) -> None:
        await warm_up(background, job)
        jobs.append(job)

    async def record_completion(background: Background, job: PrefetchJob, cache: TypeThroughCache) -> None:
        await complete(background, job, cache)
        jobs.append(job)

    monkeypatch.setattr(Background, "_warm_up", record_warm_up)
    monkeypatch.setattr(Background, "_complete", record_completion)
    return jobs


async def one_of(client: str, ended: list[PrefetchJob]) -> None:
    """Wait until a job of this client has ended."""
    with anyio.fail_after(60):
        while not any(job.client == client for job in ended):
            await anyio.sleep(0.001)


async def test_a_warmed_up_document_is_in_the_prefix_cache_also_up_to_a_comment(
    backend: Backend, ended: list[PrefetchJob]
) -> None:
    settings = Settings(completion=CompletionSettings(answer_ms=60_000, candidates=1, in_comments=False))
    text = f'# warm up\n{TEXT}"""\n# nothing is completed here while'
    snapshot = Snapshot("file:///warm.py", "python", 1, text)
    backend.orchestrator.opened("warm", snapshot, settings)
    await one_of("warm", ended)
    assert not [record for record in backend.orchestrator.log if record.client == "warm"]
    asked = CompletionRequest(snapshot, len(text), invoked=True)
    quiet = Settings(completion=settings.completion.model_copy(update={"warm_up": False}))
    await backend.orchestrator.complete("warm", asked, quiet)
    record = list(backend.orchestrator.log)[-1]
    assert record.cached_tokens >= record.prompt_tokens - 129


@pytest.mark.parametrize(
    ("uri", "settings"),
    [
        ("file:///p/.env", Settings()),
        ("file:///p/a.py", Settings(completion=CompletionSettings(warm_up=False))),
        ("file:///p/a.py", Settings(completion=CompletionSettings(enabled=False))),
        ("file:///p/a.py", Settings(disabled_languages=("python",))),
    ],
)
async def test_documents_without_completions_are_not_warmed_up(
    backend: Backend, uri: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[PrefetchJob] = []
    monkeypatch.setattr(Background, "put", lambda _background, job: jobs.append(job))
    backend.orchestrator.opened("cold", Snapshot(uri, "python", 1, TEXT), settings)
    backend.orchestrator.opened("warm", Snapshot("file:///b.py", "python", 1, TEXT), Settings())
    assert [job.client for job in jobs] == ["warm"]


async def test_the_follow_up_of_an_accepted_completion_is_prefetched(
    backend: Backend, ended: list[PrefetchJob]
) -> None:
    completion = CompletionSettings(answer_ms=60_000, speculate=True, warm_up=False, min_probability=0)
    settings = Settings(completion=completion)
    lines = fixture_text("textwrap.py").splitlines(keepends=True)
    for number in range(130, len(lines), 4):
        head = "".join(lines[:number])
        ended.clear()
        request = CompletionRequest(Snapshot("file:///next.py", "python", 1, head), len(head))
        found = await backend.orchestrator.complete("eager", request, settings)
        if not found:
            continue
        await one_of("eager", ended)
        following = found[0].follow_up(request)
        if await backend.orchestrator.complete("eager", following, settings):
            assert list(backend.orchestrator.log)[-1].source is Source.CACHE
            backend.orchestrator.typing("eager")  # drops its jobs
            await anyio.wait_all_tasks_blocked()
            return
    pytest.fail("the model suggests nothing twice")


async def test_typing_drops_prefetch_jobs(backend: Backend, submitted: list[Call]) -> None:
    for number in range(4):
        snapshot = Snapshot(f"file:///{number}.py", "python", 1, f"# {number} to be dropped\n{TEXT}")
        backend.orchestrator.opened("typist", snapshot, Settings())
    backend.orchestrator.typing("typist")
    await anyio.wait_all_tasks_blocked()
    assert not [call for call in submitted if call.slo.client == "typist"]
