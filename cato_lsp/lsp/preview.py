"""Shows results while they are generated, with ``cato/preview``, or at the end in a file that the editor opens."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types
from pygls.uris import from_fs_path

from cato_lsp.scheduling.slo import TaskKind
from cato_lsp.tasks.languages import language_of

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session

PREVIEW = "cato/preview"
"""Notification ``{id, kind, title, language, uri, range, text, done, error?, unverified?}``; ``text`` is all so far."""
CAPABILITY = "catoPreview"
"""Name in the client's ``capabilities.experimental``: the client shows previews."""
_PAUSE = 0.05
"""Least seconds between two previews of a text."""


def shows_previews(session: Session) -> bool:
    """Whether the client announced `CAPABILITY`."""
    experimental: Any = session.capabilities.experimental
    if isinstance(experimental, dict):
        return cast("dict[str, Any]", experimental).get(CAPABILITY) is True
    return getattr(experimental, CAPABILITY, None) is True


class Preview:
    """The preview of one task. Sends nothing to clients without previews, and ``done`` exactly once."""

    def __init__(
        self, session: Session, number: str, kind: TaskKind, title: str, language: str, uri: str, where: types.Range
    ) -> None:
        self._session = session
        self._fixed = {
            "id": number,
            "kind": kind.value,
            "title": title,
            "language": language,
            "uri": uri,
            "range": _plain_range(where),
        }
        self._text = ""
        self._done = not shows_previews(session)
        self._sent = 0.0

    def show(self, text: str) -> None:
        """Show the whole text so far."""
        self._text = text
        if not self._done and time.monotonic() - self._sent >= _PAUSE:
            self._sent = time.monotonic()
            self._send(done=False)

    def finish(self, text: str | None = None, *, error: str = "", unverified: bool = False) -> None:
        """Show the last text."""
        if not self._done:
            self._done = True
            self._text = self._text if text is None else text
            extra: dict[str, Any] = {"error": error} if error else {}
            self._send(done=True, **extra, **({"unverified": True} if unverified else {}))

    def _send(self, *, done: bool, **extra: Any) -> None:
        if not self._session.ended.is_set():
            self._session.protocol.notify(PREVIEW, {**self._fixed, "text": self._text, "done": done, **extra})


async def show_document(session: Session, name: str, language: str, text: str) -> None:
    """Show a text in a new document, for clients without previews.

    The file is in a folder that only this user can read, and is removed when the session ends. A client that cannot
    open documents gets a message with its path.
    """
    path = session.scratch_folder() / f"{name}.{language_of(language).extension}"
    number = 1
    while path.exists():
        number += 1
        path = path.with_name(f"{name}-{number}.{language_of(language).extension}")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    window = session.capabilities.window
    if window is not None and window.show_document is not None and window.show_document.support:
        params = types.ShowDocumentParams(uri=from_fs_path(str(path)) or path.as_uri(), take_focus=True)
        await session.server.window_show_document_async(params)
    else:
        session.server.window_show_message(types.ShowMessageParams(types.MessageType.Info, f"Cato wrote {path}"))


def _plain_range(where: types.Range) -> dict[str, dict[str, int]]:
    return {
        "start": {"line": where.start.line, "character": where.start.character},
        "end": {"line": where.end.line, "character": where.end.character},
    }
