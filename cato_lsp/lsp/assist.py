"""Generate, summarize, explain and translate, as code actions and commands share them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

import anyio
from lsprotocol import types

from cato_lsp.engine.api import EngineError
from cato_lsp.lsp.preview import Preview, show_document, shows_previews
from cato_lsp.lsp.progress import Progress
from cato_lsp.orchestrator.work import EndedError, RefusedError, Watcher
from cato_lsp.scheduling.slo import TaskKind
from cato_lsp.tasks.edit import Edit
from cato_lsp.tasks.generation import generation_target
from cato_lsp.tasks.prompts import language_name
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.summarization import documentable
from cato_lsp.tasks.symbols import Span

if TYPE_CHECKING:
    from cato_lsp.lsp.documents import Document
    from cato_lsp.lsp.session import Session


class Assist(StrEnum):
    """What can be asked for."""

    GENERATE = "generate"
    SUMMARIZE = "summarize"
    EXPLAIN = "explain"
    TRANSLATE = "translate"

    @property
    def edits(self) -> bool:
        """The result is a change to the document, as opposed to another document."""
        return self in (Assist.GENERATE, Assist.SUMMARIZE)


_KINDS = {
    Assist.GENERATE: TaskKind.GENERATION,
    Assist.SUMMARIZE: TaskKind.SUMMARIZATION,
    Assist.EXPLAIN: TaskKind.SUMMARIZATION,
    Assist.TRANSLATE: TaskKind.TRANSLATION,
}


class NotPossibleError(Exception):
    """What was asked cannot be done; the message says why, to a person."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked, on a snapshot."""

    assist: Assist
    snapshot: Snapshot
    where: types.Range
    """In the client's units, for the client."""
    start: int
    end: int
    language: str = ""
    """Target of a translation."""

    @classmethod
    def at(cls, assist: Assist, document: Document, where: types.Range, language: str = "") -> Request:
        """Take the snapshot."""
        start, end = document.offset(where.start), document.offset(where.end)
        return cls(assist, document.snapshot(), where, start, max(start, end), language)

    @property
    def title(self) -> str:
        """For the progress and the preview."""
        name = PurePosixPath(unquote(urlsplit(self.snapshot.uri).path)).name
        match self.assist:
            case Assist.GENERATE:
                return f"Generate code in {name}"
            case Assist.SUMMARIZE:
                return f"Document {name}"
            case Assist.EXPLAIN:
                return f"Explain {name}"
            case Assist.TRANSLATE:
                return f"Translate {name} to {language_name(self.language)}"


class _Work(Protocol):
    async def __call__(self, preview: Callable[[str], None], watcher: Watcher) -> tuple[Edit | str | None, bool]: ...


async def carry_out(session: Session, request: Request, token: str = "") -> Edit | None:
    """Do what was asked, with progress and preview; return the edit, if that is what it gives.

    ``None``: there was nothing to write, the result went to another document, or a person cancelled it.

    Raises:
        NotPossibleError: it was refused, or the engine failed.
    """
    work = _work(session, request)
    with anyio.CancelScope() as scope:
        progress = Progress(session, request.title, scope, token)
        language = {Assist.TRANSLATE: request.language, Assist.EXPLAIN: "markdown"}.get(
            request.assist, request.snapshot.language
        )
        kind = _KINDS[request.assist]
        uri = request.snapshot.uri
        preview = Preview(session, progress.token, kind, request.title, language, uri, request.where)
        ending = "Cancelled"
        progress.begin()
        try:
            result, unverified = await work(preview.show, Watcher(progress.note, progress.tokens))
            ending = _ending(result, unverified)
            if isinstance(result, str) and not shows_previews(session):
                await show_document(session, scratch_name(request), language, result)
            shown = result.text if isinstance(result, Edit) else result
            preview.finish(shown, error="" if result else ending, unverified=unverified)
            if unverified or not result:
                _warn(session, ending)
            return result if isinstance(result, Edit) else None
        except (RefusedError, EngineError) as error:
            ending = f"{error} {getattr(error, 'remedy', '')}".strip()
            raise NotPossibleError(ending) from error
        except EndedError:
            return None
        finally:
            preview.finish(error=ending)
            progress.end(ending)
    return None


def workspace_edit(session: Session, document: Document, edit: Edit) -> types.WorkspaceEdit:
    """The edit as the client takes it, with the version it was made for."""
    change = types.TextEdit(range=document.range(edit.start, edit.end), new_text=edit.text)
    workspace = session.capabilities.workspace
    edits = workspace.workspace_edit if workspace is not None else None
    if edits is None or not edits.document_changes:
        return types.WorkspaceEdit(changes={document.uri: [change]})
    identifier = types.OptionalVersionedTextDocumentIdentifier(uri=document.uri, version=document.version)
    return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(text_document=identifier, edits=[change])])


def _work(session: Session, request: Request) -> _Work:
    """What has to be done, once it is clear that there is something to do."""
    match request.assist:
        case Assist.GENERATE:
            return _generate(session, request)
        case Assist.SUMMARIZE:
            return _summarize(session, request)
        case Assist.EXPLAIN:
            return _explain(session, request)
        case Assist.TRANSLATE:
            return _translate(session, request)


def _generate(session: Session, request: Request) -> _Work:
    orchestrator, snapshot = session.backend.orchestrator, request.snapshot
    target = generation_target(snapshot, request.end)
    if target is None:
        raise NotPossibleError("Put the cursor on a function without a body, or on a comment that says what to write.")

    async def work(preview: Callable[[str], None], watcher: Watcher) -> tuple[Edit | None, bool]:
        found = await orchestrator.generate(session.client, snapshot, target, session.settings, preview, watcher)
        return (None, False) if found is None else (found.edit, found.unverified)

    return work


def _summarize(session: Session, request: Request) -> _Work:
    orchestrator, snapshot = session.backend.orchestrator, request.snapshot
    symbol = documentable(snapshot, request.start, request.end)
    if symbol is None:
        raise NotPossibleError("Put the cursor on a function or type; its language must have a known convention.")

    async def work(preview: Callable[[str], None], watcher: Watcher) -> tuple[Edit | None, bool]:
        del preview
        return await orchestrator.summarize(session.client, snapshot, symbol, session.settings, watcher), False

    return work


def _explain(session: Session, request: Request) -> _Work:
    orchestrator, span = session.backend.orchestrator, Span(request.start, request.end)

    async def work(preview: Callable[[str], None], watcher: Watcher) -> tuple[str, bool]:
        snapshot, settings = request.snapshot, session.settings
        return await orchestrator.explain(session.client, snapshot, span, settings, preview, watcher), False

    return work


def _translate(session: Session, request: Request) -> _Work:
    orchestrator, span = session.backend.orchestrator, Span(request.start, request.end)

    async def work(preview: Callable[[str], None], watcher: Watcher) -> tuple[str, bool]:
        snapshot, settings, language = request.snapshot, session.settings, request.language
        done = await orchestrator.translate(session.client, snapshot, span, language, settings, preview, watcher)
        return done.text, done.unverified

    return work


def _ending(result: Edit | str | None, unverified: bool) -> str:
    if not result:
        return "The model had nothing to say"
    return "Done, but not verified: please check it" if unverified else "Done"


def _warn(session: Session, text: str) -> None:
    session.server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, f"Cato: {text}."))


def scratch_name(request: Request) -> str:
    """A file name for a result, without its extension."""
    stem = PurePosixPath(unquote(urlsplit(request.snapshot.uri).path)).stem
    safe = "".join(each if each.isalnum() or each in "-_" else "-" for each in stem)[:60]
    return f"{safe or 'code'}-explained" if request.assist is Assist.EXPLAIN else safe or "code"
