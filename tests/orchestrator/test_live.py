"""Which live tasks end when a document or a client goes."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from cato_lsp.orchestrator.live import LiveTasks, Slot
from cato_lsp.orchestrator.record import Outcome

pytestmark = pytest.mark.anyio

SLOTS = [Slot("me", "file:///a"), Slot("me", "file:///b"), Slot("you", "file:///a")]


@pytest.mark.parametrize(("uri", "ended"), [("file:///a", SLOTS[:1]), (None, SLOTS[:2])], ids=["document", "client"])
async def test_only_the_tasks_of_what_was_closed_end(uri: str | None, ended: list[Slot]) -> None:
    live = LiveTasks()
    with ExitStack() as stack:
        tasks = {slot: stack.enter_context(live.take(slot)) for slot in SLOTS}
        live.end_client("me") if uri is None else live.end_document("me", uri)
        assert [slot for slot, task in tasks.items() if task.ended_as is Outcome.CANCELLED] == ended
        assert [slot for slot, task in tasks.items() if task.scope.cancel_called] == ended
