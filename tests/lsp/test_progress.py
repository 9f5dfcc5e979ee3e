"""What a task shows while it runs and at its end, without an engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from lsprotocol import types

from cato_lsp.lsp.preview import show_document
from cato_lsp.lsp.progress import Progress
from cato_lsp.lsp.session import Session

pytestmark = pytest.mark.anyio


def session_of(heard: list[Any], folder: Path = Path()) -> Session:
    """A session whose client shows progress and messages but opens no documents."""

    def respond(_method: str, _params: object, callback: Any) -> None:
        callback(None)

    progress = SimpleNamespace(
        begin=lambda _token, value: heard.append(value),
        report=lambda _token, value: heard.append(value),
        end=lambda _token, value: heard.append(value),
    )
    window = types.WindowClientCapabilities(work_done_progress=True)
    session = SimpleNamespace(
        cancellable={},
        capabilities=types.ClientCapabilities(window=window),
        ended=anyio.Event(),
        protocol=SimpleNamespace(send_request=respond),
        scratch_folder=lambda: folder,
        server=SimpleNamespace(work_done_progress=progress, window_show_message=heard.append),
    )
    return cast("Session", session)


async def test_progress_shows_the_number_of_tokens_from_the_first_one_on() -> None:
    heard: list[Any] = []
    progress = Progress(session_of(heard), "Explain", anyio.CancelScope())
    progress.begin()
    progress.tokens(7)
    progress.end("Done")
    assert [value.message for value in heard] == [None, "7 tokens", "Done"]


async def test_a_second_result_does_not_replace_the_file_of_the_first(tmp_path: Path) -> None:
    heard: list[Any] = []
    session = session_of(heard, tmp_path)
    for text in ("one", "two"):
        await show_document(session, "work", "python", text)
    assert [each.message for each in heard] == [f"Cato wrote {tmp_path / name}" for name in ("work.py", "work-2.py")]
    assert [(tmp_path / name).read_text() for name in ("work.py", "work-2.py")] == ["one", "two"]
