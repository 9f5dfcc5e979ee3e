"""The cache models of completions: what stands in the open document and in the files of its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cato_lsp.config import Settings
from cato_lsp.engine.model_folder import ModelFolder
from cato_lsp.tasks.completion import CompletionPlan
from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer

if TYPE_CHECKING:
    from cato_lsp.engine.api import TokenCache
    from cato_lsp.workspace.folder import Encode
    from cato_lsp.workspace.indexer import FolderKey, Indexer

LARGEST_MODEL = 200_000_000
"""Bytes of weights above which a model knows more than the counts of a folder can add."""


class Workspaces:
    """Gives each completion its cache model. A client sees the indexes of its own folders only."""

    def __init__(self) -> None:
        self._roots: dict[str, tuple[Path, ...]] = {}
        self._indexer: Indexer | None = None
        self._in_editor: dict[str, set[tuple[FolderKey, str]]] = {}
        """The files of each client that are indexed as they are in the editor, which may differ from the disk."""

    def open_folders(self, client: str, roots: Sequence[Path]) -> None:
        """Set the folders of a client."""
        self._roots[client] = tuple(roots)

    def cache(
        self, client: str, model: ModelFolder | None, plan: CompletionPlan, snapshot: Snapshot, settings: Settings
    ) -> TokenCache | None:
        """The cache model of a completion; ``None`` where it is switched off or of no use."""
        if model is None or not _is_of_use(model, settings):
            return None
        from cato_lsp.workspace.cache_model import CacheModel  # numpy is loaded for those who use it

        key = self._key(client, model, snapshot.uri, settings)
        if key is None:
            return CacheModel(plan.tail, plan.document)
        index = self._indexes().open(key, client).outside(str(_path(snapshot.uri)), plan.document)
        return CacheModel(plan.tail, plan.document, index)

    def change(self, client: str, model: ModelFolder | None, snapshot: Snapshot, settings: Settings) -> None:
        """Index a document's text, and its folder with the first one. Returns at once."""
        if (
            model is None
            or not _is_of_use(model, settings)
            or (key := self._key(client, model, snapshot.uri, settings)) is None
        ):
            return
        self._indexes().open(key, client)
        if not key.exclusion.forbids_reading(snapshot.uri, snapshot.text):
            path = str(_path(snapshot.uri))
            self._in_editor.setdefault(client, set()).add((key, path))
            self._indexes().change(key, path, snapshot.text)

    def reread(self, client: str, model: ModelFolder | None, uris: Sequence[str], settings: Settings) -> None:
        """Index files again that other programs have changed, where their folder is indexed. Returns at once."""
        if self._indexer is None or model is None or not _is_of_use(model, settings):
            return
        for uri in uris:
            if (key := self._key(client, model, uri, settings)) is not None:
                self._indexer.change(key, str(_path(uri)), None)

    def idle(self) -> bool:
        """Whether all that was asked is indexed."""
        return self._indexer is None or self._indexer.idle

    def close_document(self, client: str, uri: str) -> None:
        """Index a closed document as it is on disk, so that text that was not saved is forgotten. Returns at once."""
        path = str(_path(uri))
        self._read_from_disk(client, {each for each in self._in_editor.get(client, ()) if each[1] == path})

    def close_client(self, client: str) -> None:
        """Forget a client's folders, and what it did not save in folders that others have open, too."""
        self._roots.pop(client, None)
        if self._indexer is not None:
            self._indexer.close(client)
        self._read_from_disk(client, self._in_editor.pop(client, set()))

    def _read_from_disk(self, client: str, files: set[tuple[FolderKey, str]]) -> None:
        self._in_editor.get(client, set()).difference_update(files)
        for key, path in files:
            self._indexes().change(key, path, None)

    def _key(self, client: str, model: ModelFolder, uri: str, settings: Settings) -> FolderKey | None:
        from cato_lsp.workspace.indexer import FolderKey

        path = _path(uri)
        roots = (root for root in self._roots.get(client, ()) if path is not None and path.is_relative_to(root))
        root = next(roots, None)
        exclusion = Exclusion((), settings.disabled_globs)
        return None if root is None else FolderKey(root, model.path, exclusion)

    def _indexes(self) -> Indexer:
        if self._indexer is None:
            from cato_lsp.workspace.indexer import Indexer

            self._indexer = Indexer(_encoder)
        return self._indexer


def _is_of_use(model: ModelFolder, settings: Settings) -> bool:
    return settings.completion.workspace and model.weights_bytes <= LARGEST_MODEL


def _path(uri: str) -> Path | None:
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _encoder(model: Path) -> Encode:
    return Tokenizer.from_folder(model).encode
