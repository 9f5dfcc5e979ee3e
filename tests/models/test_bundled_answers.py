"""What the bundled model knows: a floor under its completions, through the product's own path."""

from __future__ import annotations

import pytest

from cato_lsp.config import CompletionSettings, Settings
from cato_lsp.lsp.backend import Backend
from cato_lsp.tasks.completion import CompletionRequest
from cato_lsp.tasks.snapshot import Snapshot

SETTINGS = Settings(completion=CompletionSettings(answer_ms=60_000, candidates=1))

PLACES = [
    ("from __future__ import ann‸", "otations"),
    ('def main():\n    print("a")\n\n\nif __name__ == ‸', '"__main__":'),
    ("class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y‸\n", " = y"),
    ("class Shape:\n    def area(self):\n        raise NotImpl‸\n", "ementedError"),
    ("class Child(Parent):\n    def __init__(self, name):\n        super().__in‸\n", "it__("),
    ("def total(values):\n    result = 0\n    for value in values:\n        result += val‸\n    return result\n", "ue"),
    ("import os\n\n\ndef names(folder):\n    return sorted(os.list‸)\n", "dir("),
    ("def read(path):\n    with open(path) as fi‸\n        return file.read()\n", "le:"),
    ("def first(items):\n    if not items:\n        retu‸\n    return items[0]\n", "rn"),
    ("try:\n    import tomllib\nexc‸\n    tomllib = None\n", "ept ImportError:"),
    ("def close(self):\n    if self._file is not None:\n        self._file.clo‸\n        self._file = None\n", "se()"),
    ("for index, item in enum‸:\n    print(index, item)\n", "erate("),
    ("def label(width: int, height: i‸) -> str:\n", "nt"),
    ("class Box:\n    @prop‸\n    def size(self):\n        return self._size\n", "erty"),
    ("import json\n\n\ndef load(path):\n    with open(path) as file:\n        return json.lo‸\n", "ad(file)"),
    ('    parser.add_argument("--name", help="the name")\n    args = parser.parse_ar‸\n', "gs("),
]
FLOOR = 11
"""Places of these that must be completed as they are expected to begin."""


@pytest.mark.anyio
async def test_the_bundled_model_completes_what_every_python_program_holds(backend: Backend) -> None:
    right: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for number, (text, expected) in enumerate(PLACES):
        head, tail = text.split("‸")
        request = CompletionRequest(
            Snapshot(f"file:///floor{number}.py", "python", 1, head + tail), len(head), invoked=True
        )
        found = await backend.orchestrator.complete("floor", request, SETTINGS)
        inserted = (found[0].inserted(request) or found[0].text) if found else ""
        (right if inserted.startswith(expected) else wrong)[text] = inserted
    assert len(right) >= FLOOR, wrong
