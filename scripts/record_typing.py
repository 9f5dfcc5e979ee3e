#!/usr/bin/env python3
"""Record a typing session for scripts/bench_typing.py.

A person, in any editor: make this the editor's language server, with the real one behind `--`:

    python scripts/record_typing.py person session.jsonl.gz -- cato-lsp

A model of a user who types a given file (the committed recordings were made in this way; `again` repeats that):

    python scripts/record_typing.py model FILE session.jsonl.gz --language python --seed 1
    python scripts/record_typing.py again
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from pathlib import Path

from keystrokes.proxy import Watcher, record
from keystrokes.recording import Recording
from keystrokes.typist import type_file

RECORDINGS = Path(__file__).resolve().parent / "keystrokes" / "recordings"


def main() -> int:
    """Record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(required=True, dest="way")
    person = ways.add_parser("person", help="stand between an editor and the server")
    person.add_argument("recording", type=Path)
    person.add_argument("--made", default="a person, in an editor")
    person.add_argument("--licence", default="unpublished")
    person.add_argument("server", nargs="+", help="command of the server, after --")
    model = ways.add_parser("model", help="type a file as a model of a person")
    model.add_argument("file", type=Path)
    model.add_argument("recording", type=Path)
    model.add_argument("--language", required=True)
    model.add_argument("--licence", default="Apache-2.0")
    model.add_argument("--seed", type=int, default=1)
    ways.add_parser("again", help="make the committed recordings again from their own texts")
    options = parser.parse_args()
    if options.way == "person":
        watcher = Watcher(options.made, options.licence)
        code = asyncio.run(record(options.server, watcher))
        if watcher.recording is not None:
            watcher.recording.save(options.recording)
        return code
    if options.way == "model":
        text = options.file.read_text(encoding="utf-8")
        named = {"language": options.language, "name": options.file.name, "licence": options.licence}
        type_file(text, **named, seed=options.seed).save(options.recording)
        return 0
    for path in sorted(RECORDINGS.glob("*.gz")):
        retyped(Recording.load(path)).save(path)
    return 0


def retyped(old: Recording) -> Recording:
    """The recording that the model makes of the same text with the same seed."""
    seed = re.search(r"seed (\d+)", old.made)
    assert seed is not None, f"{old.name} was not made by the model"
    named = {"language": old.language, "name": old.name, "licence": old.licence}
    return type_file(old.final, **named, seed=int(seed.group(1)))


if __name__ == "__main__":
    sys.exit(main())
