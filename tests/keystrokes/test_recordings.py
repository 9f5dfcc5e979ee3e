"""Typing sessions as data: made again they are the same, played they give the file."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pytest
import record_typing
from hypothesis import given, settings
from hypothesis import strategies as st
from keystrokes.proxy import Frames, Watcher
from keystrokes.recording import Key, Kind, Recording
from keystrokes.typist import type_file

from cato_lsp.tasks.symbols import syntax_errors
from tests.lsp.wire import change, completion, frame, notification, request

LINES = ["import os\n", "\n", "def f(a):\n", '    """Do."""\n', "    return [a, 'b']\n", "x = {\n"]
RECORDINGS = sorted(record_typing.RECORDINGS.glob("*.gz"))


def by_name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", RECORDINGS, ids=by_name)
def test_a_committed_recording_is_what_its_recorder_makes(path: Path) -> None:
    recording = Recording.load(path)
    assert record_typing.retyped(recording) == recording


@pytest.mark.parametrize("path", RECORDINGS, ids=by_name)
def test_a_recording_ends_with_a_file_that_parses(path: Path) -> None:
    recording = Recording.load(path)
    assert syntax_errors(recording.final, recording.language) == []
    assert recording.final.count("\n") > 150


@pytest.mark.parametrize("path", RECORDINGS, ids=by_name)
def test_a_recording_has_the_published_pace_and_share_of_corrections(path: Path) -> None:
    keys = Recording.load(path).keys
    kinds = Counter(key.kind for key in keys)
    assert set(kinds) == set(Kind)
    assert 0.05 < kinds[Kind.DELETE] / len(keys) < 0.075
    gaps = [after.time - before.time for before, after in pairwise(keys)]
    assert 200 < mean(gap for gap in gaps if gap < 700) < 280  # within a burst
    assert min(gaps) >= 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["import os\n", "\n", "def f(a):\n", '    """Do."""\n', "    return [a, 'b']\n", "x = {\n"])
    ),
    st.integers(0, 5),
)
def test_whatever_is_typed_the_document_is_the_file_in_the_end(lines: list[str], seed: int) -> None:
    text = "".join(lines)
    recording = type_file(text, language="python", name="a.py", licence="", seed=seed)
    assert recording.final == text
    for key, state in recording.states():
        assert 0 <= key.cursor <= len(state)


def test_a_recording_can_be_kept_in_a_file(tmp_path: Path) -> None:
    recording = type_file("名前 = '🙂'\nx = 1\n", language="python", name="a.py", licence="", seed=1)
    recording.save(tmp_path / "a.gz")
    assert Recording.load(tmp_path / "a.gz") == recording


def test_what_a_user_types_in_an_editor_is_recorded() -> None:
    watcher = Watcher("a test", "")
    opened = {"uri": "file:///work.py", "languageId": "python", "version": 1, "text": "s = '🙂'\n"}
    said = [
        notification("textDocument/didOpen", {"textDocument": opened}),
        notification("textDocument/didChange", change(2, (0, 7), (0, 7), "x")),  # after the emoji, in UTF-16
        request(1, *completion(0, 8)),
        notification("textDocument/didChange", change(3, (0, 7), (0, 8), "")),
        request(2, *completion(1, 0)),
        notification("textDocument/didChange", change(4, (1, 0), (1, 0), "print()")),
        request(3, *completion(1, 6)),
        request(4, "workspace/executeCommand", {"command": "cato.didAccept", "arguments": [1]}),
    ]
    frames, data = Frames(), b"".join(map(frame, said))
    messages = [message for at in range(0, len(data), 7) for message in frames.feed(data[at : at + 7])]
    assert messages == said
    for second, message in enumerate(messages):
        watcher.heard_client(message, 10.0 + second)
    recording = watcher.recording
    assert recording is not None
    assert recording.keys == [
        Key(1000, Kind.TYPE, 6, 0, "x", 7),
        Key(3000, Kind.DELETE, 6, 1, "", 6),
        Key(4000, Kind.MOVE, 8, 0, "", 8),
        Key(5000, Kind.ACCEPT, 8, 0, "print()", 14),
    ]
    assert recording.final == "s = '🙂'\nprint()"
