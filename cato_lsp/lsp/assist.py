"""Runs generate, summarize, explain and translate, for code actions and commands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread
from lsprotocol import types

from cato_lsp.engine.api import EngineError
from cato_lsp.lsp.preview import Preview, show_document, shows_previews
from cato_lsp.lsp.progress import Progress
from cato_lsp.orchestrator.task_calls import TaskObserver
from cato_lsp.orchestrator.task_runner import EndedError, RefusedError
from cato_lsp.tasks.edit import Edit
from cato_lsp.tasks.generation import Generation, generation_target
from cato_lsp.tasks.languages import language_of
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.summarization import Explanation, Summarization, documentable
from cato_lsp.tasks.task import TaskRequest, TaskResult
from cato_lsp.tasks.translation import Translation

if TYPE_CHECKING:
    from cato_lsp.lsp.documents import Document
    from cato_lsp.lsp.session import Session


class Assist(StrEnum):
    """The kinds of assistance."""

    GENERATE = "generate"
    SUMMARIZE = "summarize"
    EXPLAIN = "explain"
    TRANSLATE = "translate"

    @property
    def edits(self) -> bool:
        """Whether the result is a change to the document, as opposed to a text of its own."""
        return self in (Assist.GENERATE, Assist.SUMMARIZE)


class NotPossibleError(Exception):
    """The request cannot be carried out. The message tells the user why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the user, on a snapshot."""

    assist: Assist
    snapshot: Snapshot
    where: types.Range
    """The range in the client's units."""
    start: int
    end: int
    language: str = ""
    """Target of a translation."""

    @classmethod
    def at(cls, assist: Assist, document: Document, where: types.Range, language: str = "") -> Request:
        """A request on the document's current version."""
        start, end = document.offset(where.start), document.offset(where.end)
        return cls(assist, document.snapshot(), where, start, max(start, end), language)

    @property
    def title(self) -> str:
        """The title of the progress and the preview."""
        name = PurePosixPath(unquote(urlsplit(self.snapshot.uri).path)).name
        match self.assist:
            case Assist.GENERATE:
                return f"Generate code in {name}"
            case Assist.SUMMARIZE:
                return f"Document {name}"
            case Assist.EXPLAIN:
                return f"Explain {name}"
            case Assist.TRANSLATE:
                return f"Translate {name} to {language_of(self.language).name}"


async def carry_out(session: Session, request: Request, token: str = "") -> Edit | None:
    """Carry out a request, with progress and preview. Returns the edit, if the result is one.

    ``None``: the model wrote nothing, the result is shown in another document, or the user cancelled.

    Raises:
        NotPossibleError: it was refused, or the engine failed.
    """
    task = await anyio.to_thread.run_sync(_task_request, request)
    with anyio.CancelScope() as scope:
        progress = Progress(session, request.title, scope, token)
        language = {Assist.TRANSLATE: request.language, Assist.EXPLAIN: "markdown"}.get(
            request.assist, request.snapshot.language
        )
        preview = Preview(session, progress.token, task.kind, request.title, language, task.uri, request.where)
        ending = "Cancelled"
        progress.begin()
        try:
            result = await session.backend.orchestrator.run_task(
                session.client, task, session.settings, TaskObserver(progress.note, progress.tokens, preview.show)
            )
            ending = _ending(result)
            if result is None or result.unverified:
                _warn(session, ending)
            if result is None:
                return None
            if isinstance(result.content, Edit):
                preview.finish(result.content.text, unverified=result.unverified)
                return result.content
            if not shows_previews(session):
                await show_document(session, scratch_name(request), language, result.content)
            preview.finish(result.content, unverified=result.unverified)
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
    """The edit in the form that the client supports, with the document's version if possible."""
    change = types.TextEdit(range=document.range(edit.start, edit.end), new_text=edit.text)
    workspace = session.capabilities.workspace
    edits = workspace.workspace_edit if workspace is not None else None
    if edits is None or not edits.document_changes:
        return types.WorkspaceEdit(changes={document.uri: [change]})
    identifier = types.OptionalVersionedTextDocumentIdentifier(uri=document.uri, version=document.version)
    return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(text_document=identifier, edits=[change])])


def _task_request(request: Request) -> TaskRequest:
    """The task of a request.

    Raises:
        NotPossibleError: there is nothing to do at this place.
    """
    snapshot, start, end = request.snapshot, request.start, request.end
    match request.assist:
        case Assist.GENERATE:
            target = generation_target(snapshot, end)
            if target is None:
                raise NotPossibleError(
                    "Put the cursor on a function without a body, or on a comment that says what to write."
                )
            return Generation.request(snapshot, target)
        case Assist.SUMMARIZE:
            symbol = documentable(snapshot, start, end)
            if symbol is None:
                raise NotPossibleError(
                    "Put the cursor on a function or type; its language must have a known convention."
                )
            return Summarization.request(snapshot, symbol)
        case Assist.EXPLAIN:
            return Explanation.request(snapshot, start, end)
        case Assist.TRANSLATE:
            return Translation.request(snapshot, start, end, request.language)


def _ending(result: TaskResult | None) -> str:
    if result is None:
        return "The model had nothing to say"
    return "Done, but not verified: please check it" if result.unverified else "Done"


def _warn(session: Session, text: str) -> None:
    session.server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, f"Cato: {text}."))


def scratch_name(request: Request) -> str:
    """The name of a file for a result, without extension."""
    stem = PurePosixPath(unquote(urlsplit(request.snapshot.uri).path)).stem
    safe = "".join(each if each.isalnum() or each in "-_" else "-" for each in stem)[:60]
    return f"{safe or 'code'}-explained" if request.assist is Assist.EXPLAIN else safe or "code"
