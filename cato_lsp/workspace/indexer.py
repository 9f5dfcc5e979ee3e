"""Builds and updates the indexes of folders, on a thread of low priority."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from cato_lsp.supervise import traceback_of
from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.workspace.files import admitted, code_files, read_code
from cato_lsp.workspace.folder import Encode, FolderIndex

logger = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two updates. All changes in between are indexed together."""
_NICE = 10


@dataclass(frozen=True, slots=True)
class FolderKey:
    """Identifies an index. Clients share an index only if their keys are equal."""

    root: Path
    model: Path
    """The model folder with the tokenizer."""
    exclusion: Exclusion


class Indexer:
    """The indexes of the folders that clients work in. Call all public methods on the event loop.

    :param load: loads the tokenizer of a model folder; called on the indexer's thread.
    """

    def __init__(self, load: Callable[[Path], Encode], pause: float = PAUSE) -> None:
        self._load = load
        self._pause = pause
        self._indexes: dict[FolderKey, FolderIndex] = {}
        self._users: dict[FolderKey, set[str]] = {}
        self._encoders: dict[Path, Encode] = {}
        self._changes: dict[FolderKey, dict[str, str | None]] = {}
        """New texts of files; ``None``: it is read on the thread."""
        self._jobs: SimpleQueue[tuple[FolderKey | None, threading.Event | None]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._asked = self._done = 0

    def open(self, key: FolderKey, client: str) -> FolderIndex:
        """The index of a folder. It is empty until it is built in the background."""
        self._users.setdefault(key, set()).add(client)
        if (index := self._indexes.get(key)) is None:
            index = self._indexes[key] = FolderIndex()
            self._queue(key)
        return index

    def change(self, key: FolderKey, path: str, text: str | None) -> None:
        """Schedule an update with the new text of a file. Returns immediately.

        :param text: ``None`` to read the file on the thread, if it may be indexed by then.
        """
        if key not in self._indexes:
            return
        waits = key in self._changes
        self._changes.setdefault(key, {})[path] = text
        if not waits:
            self._queue(key)

    def close(self, client: str) -> None:
        """Remove the indexes that only this client uses."""
        for key, users in list(self._users.items()):
            users.discard(client)
            if not users:
                del self._users[key]
                self._indexes.pop(key, None)
                self._changes.pop(key, None)

    @property
    def idle(self) -> bool:
        """Whether all scheduled work is done."""
        return self._done == self._asked

    def flushed(self) -> threading.Event:
        """Return an event that is set when all work scheduled so far is done."""
        done = threading.Event()
        self._queue(None, done)
        return done

    def _queue(self, key: FolderKey | None, done: threading.Event | None = None) -> None:
        self._asked += 1
        self._jobs.put((key, done))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cato-indexer", daemon=True)
            self._thread.start()

    # The methods below run on the indexer's thread.

    def _run(self) -> None:
        _lower_priority()
        built: set[FolderKey] = set()
        while True:
            key, done = self._jobs.get()
            try:
                if key is not None:
                    self._index(key, built)
            except Exception as error:  # an index is optional: the thread continues with the next folder
                logger.error("A folder could not be indexed\n%s", traceback_of(error))
            self._done += 1
            if done is not None:
                done.set()

    def _index(self, key: FolderKey, built: set[FolderKey]) -> None:
        index = self._indexes.get(key)
        if index is None:
            built.discard(key)
            return
        encode = self._encoders.get(key.model) or self._encoders.setdefault(key.model, self._load(key.model))
        if key not in built:
            built.add(key)
            started = time.monotonic()
            paths = code_files(key.root, key.exclusion)
            index.build(((str(path), read_code(path, key.exclusion)) for path in paths), encode)
            logger.info(
                "Indexed %d files in %.1f s, %.1f MB", len(index.files), time.monotonic() - started, index.size / 1e6
            )
            return
        time.sleep(self._pause)
        if changes := self._changes.pop(key, None):
            index.change(_texts(key, changes), encode)


def _texts(key: FolderKey, changes: dict[str, str | None]) -> Iterator[tuple[str, str]]:
    """The texts of changed files; an empty one for a file that is gone, or not to be indexed."""
    on_disk = admitted(key.root, (Path(path) for path, text in changes.items() if text is None), key.exclusion)
    for path, text in changes.items():
        if text is None:
            text = read_code(Path(path), key.exclusion) if Path(path) in on_disk else ""  # noqa: PLW2901
        yield path, text


def _lower_priority() -> None:
    """Lower the priority of this thread. On Linux, each thread has its own priority."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
