"""Completions on the live engine: type-through, candidates, supersede."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from cato_lsp.config import CompletionSettings, Settings
from cato_lsp.engine.api import Call
from cato_lsp.lsp.backend import Backend
from cato_lsp.orchestrator.record import Outcome, Source, TaskRecord
from cato_lsp.tasks.completion import Completion, CompletionRequest
from cato_lsp.tasks.snapshot import Snapshot

pytestmark = pytest.mark.anyio

SETTINGS = Settings(completion=CompletionSettings(answer_ms=60_000, max_tokens=64, warm_up=False, min_probability=0))
HEAD = "import os\n\n\ndef names(path):\n    entries = os."
TAIL = "\n    return entries\n"


def request(
    typed: str = "", *, invoked: bool = False, head: str = HEAD, uri: str = "file:///a.py"
) -> CompletionRequest:
    text = head + typed
    return CompletionRequest(Snapshot(uri, "python", None, text + TAIL), len(text), invoked)


def last(backend: Backend) -> TaskRecord:
    return list(backend.orchestrator.log)[-1]


async def shown(backend: Backend, client: str, uri: str) -> tuple[str, str]:
    """A place where the model suggests something, and what follows the cursor there."""
    heads = [
        HEAD,
        "import os\n\nfor name in os.listdir(",
        "def add(a, b):\n    return ",
        "import sys\n\nprint(",
        "x = [1, 2",
    ]
    for head in heads:
        asked = request(head=head, uri=uri)
        found = await backend.orchestrator.complete(client, asked, SETTINGS)
        inserted = found[0].inserted(asked) if found else None
        if inserted is not None and len(inserted) > 1 and inserted.isprintable():
            return head, inserted
    pytest.fail("the model suggests nothing anywhere")


async def test_typing_the_suggested_text_makes_no_call(backend: Backend) -> None:
    head, inserted = await shown(backend, "along", "file:///along.py")
    asked = request(inserted[:1], head=head, uri="file:///along.py")
    found = await backend.orchestrator.complete("along", asked, SETTINGS)
    assert found[0].inserted(asked) == inserted[1:]
    assert last(backend).source is Source.CACHE
    assert last(backend).calls == []
    assert backend.orchestrator.cache("along").stats.hits == 1


async def test_answers_of_one_window_are_not_used_in_another(backend: Backend) -> None:
    head, inserted = await shown(backend, "one", "file:///windows.py")
    await backend.orchestrator.complete("two", request(inserted[:1], head=head, uri="file:///windows.py"), SETTINGS)
    assert last(backend).source is Source.MODEL


async def test_typing_the_text_of_a_running_answer_continues_to_read_it(backend: Backend) -> None:
    uri = "file:///stream.py"
    head, inserted = await shown(backend, "scout", uri)  # another client's cache: the answer is known to the test only
    results: dict[str, list[Completion]] = {}

    async def ask(name: str, typed: str) -> None:
        results[name] = await backend.orchestrator.complete("typist", request(typed, head=head, uri=uri), SETTINGS)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "first", "")
        while not backend.orchestrator.live_count:
            await anyio.lowlevel.checkpoint()
        while backend.orchestrator.engine_stats().calls_running == 0:
            await anyio.sleep(0.0005)
        group.start_soon(ask, "second", inserted[:1])
    assert results["first"] == []
    records = [record for record in backend.orchestrator.log if record.client == "typist"]
    if records[0].outcome is Outcome.ANSWERED:
        pytest.skip("the model was faster than the typist")
    assert [record.outcome for record in records] == [Outcome.SUPERSEDED, Outcome.ANSWERED]
    assert records[1].source is Source.STREAM
    assert records[1].calls == []
    assert results["second"][0].inserted(request(inserted[:1], head=head, uri=uri)) == inserted[1:]


async def test_typing_something_else_ends_the_running_call(backend: Backend) -> None:
    uri = "file:///other.py"

    async def ask(typed: str) -> None:
        await backend.orchestrator.complete("changer", request(typed, uri=uri), SETTINGS)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "")
        while not backend.orchestrator.live_count:
            await anyio.lowlevel.checkpoint()
        group.start_soon(ask, "zzqq(")
    records = [record for record in backend.orchestrator.log if record.client == "changer"]
    assert records[0].outcome is Outcome.SUPERSEDED
    assert records[0].usage.tokens_after_cancel == 0
    assert records[1].source in (Source.MODEL, Source.STREAM)
    assert backend.orchestrator.live_count == 0


async def test_an_invoked_request_gets_distinct_candidates(backend: Backend) -> None:
    found = await backend.orchestrator.complete("asker", request(invoked=True), SETTINGS)
    assert len(found) == len(set(found)) <= SETTINGS.completion.candidates
    record = last(backend)
    assert len(record.calls) == SETTINGS.completion.candidates
    one = record.prompt_tokens // SETTINGS.completion.candidates
    assert record.cached_tokens >= (SETTINGS.completion.candidates - 1) * (one - 128)


async def test_at_the_time_limit_the_usable_part_is_returned(backend: Backend) -> None:
    settings = Settings(completion=CompletionSettings(answer_ms=1, warm_up=False))
    found = await backend.orchestrator.complete("hasty", request(uri="file:///hasty.py"), settings)
    assert len(found) <= 1
    assert last(backend).outcome in (Outcome.ANSWERED, Outcome.EMPTY)
    assert backend.orchestrator.live_count == 0


@pytest.mark.parametrize(
    ("uri", "settings"),
    [
        ("file:///home/x/.env", Settings()),
        ("file:///home/x/a.py", Settings(disabled_languages=("Python",))),
        ("file:///home/x/secret/a.py", Settings(disabled_globs=("**/secret/**",))),
    ],
)
async def test_excluded_documents_never_reach_the_engine(
    backend: Backend, submitted: list[Call], uri: str, settings: Settings
) -> None:
    assert await backend.orchestrator.complete("excluded", request(uri=uri, invoked=True), settings) == []
    assert not [call for call in submitted if call.slo.client == "excluded"]
    assert not [record for record in backend.orchestrator.log if record.client == "excluded"]
